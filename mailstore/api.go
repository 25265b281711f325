package mailstore

// The contract that virtual, lmtpd, imapd, pop3d and the admin API program
// against is: Open, Options, Store (store.go, run.go, remove.go), Account
// (account.go), Delivery (deliver.go), Usage (quota.go), User, Status
// (user.go), Folder (folders.go), View, Info, Message (view.go), Update
// (update.go), FlagOp (flags.go), and the errors (errors.go).
