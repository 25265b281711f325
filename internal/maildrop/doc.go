// Package maildrop is the form in which a program of this host hands in mail, and the folder where
// it lies while no service answers. The command sendmail writes it, mta/pickup reads it.
//
// # The form
//
// One line, "maildrop1 HEADER CONTENT SUM", then HEADER octets of JSON ([Message]), then CONTENT
// octets of the message with LF line ends. SUM is the CRC32C of both, in hexadecimal. What is shorter,
// longer or has another sum is no message: a file is whole, or it is refused.
//
// # The folder
//
//	pickup   the socket of the service
//	drop     3733, the service's: everybody may put files into it, and nobody list them, nor
//	         touch another user's (sticky). New files have the service's group (setgid)
//	taken    0700: files on their way into the queue, by the ID that they get there
//	bad      0700: what was no message
//
// A file is written as drop/t<name>, 0640, synced, renamed to drop/m<name> and synced with the folder's
// file system. The name is 128 random bits: who does not know it cannot link or open the file. It stands in the
// message, too, so that a file under another name is nobody's. The owner of the file is the sender.
//
// # What it does not do
//
// It decides about nobody, and believes nothing that the message says of its sender. Nothing is setuid
// or setgid but the folder.
//
// # Results
//
// [ErrMalformed] for what is no message, [ErrTooLarge] for one that is larger than is taken.
package maildrop
