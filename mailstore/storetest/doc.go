// Package storetest is what the tests of the protocols over the store share:
// three users who can log in ([Authenticator], [Account]), a certificate
// ([Certificates]), a server on ports of its own ([Start]), and what holds of
// each under stress ([UnderStress]).
//
// Nothing but tests imports it. The users are alice, bob and carol of
// example.test, each with the password [Password].
package storetest
