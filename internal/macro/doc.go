// Package macro expands $name in texts that an administrator wrote: arguments of
// commands, paths of .forward files, addresses. It is Postfix's mac_parse() and mac_expand().
//
// # What it does
//
// [Parse] reads a text once and refuses names that there are not; [Text.Expand] puts values
// in their places. These forms are known:
//
//	$name ${name} $(name)          the value
//	${name?text} ${name?{text}}    text when the value is not empty
//	${name:text} ${name:{text}}    text when it is
//	${name?{a}:{b}}                one of both
//	$$                             $
//
// Texts of conditions may have macros of their own.
//
// # What it does not do
//
// It compares nothing (${{a} == {b}?...}), and a value is never looked at for macros.
package macro
