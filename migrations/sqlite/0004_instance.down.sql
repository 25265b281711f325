DROP VIEW directory_instance;
DROP TABLE instance;
