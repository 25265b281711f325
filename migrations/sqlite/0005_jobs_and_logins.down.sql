DROP TABLE last_logins;
DROP INDEX jobs_state;
DROP TABLE jobs;
