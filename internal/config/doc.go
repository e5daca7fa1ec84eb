// Package config turns flags and environment variables into the settings of each command.
//
// A setting is a struct field with an env tag. Everything else is derived from it: the flag (the
// variable without its prefix, lower case, with dashes), the help text (the field's comment), the
// rule that its value must keep (the tags below), and its row in docs/configuration.md. One struct
// per command ([Up], [Router], [Worker]) embeds the groups of fields that the command reads.
//
// [Load] resolves every variable of such a struct by one precedence: flag, then environment (then
// the variable's fallbacks, such as PORT), then default. A secret may come from a file: FOO_FILE
// holds the path of FOO's value. The resolved texts are checked against their rules and converted
// by caarlos0/env. A wrong value is a [ValueError], whose text is the one line that the operator
// gets; variables that look like ours and are not are warnings with the nearest known name.
//
// Tags, besides env and envDefault:
//
//	form:"addr"        a named form, see forms.go
//	oneof:"a b"        one of these words
//	min:"1s"           the least duration or number
//	secret:"file"      hidden where settings are printed, and also read from <VAR>_FILE
//	fallback:"A,B"     other variables read, in this order, where it is not set
//	needs:"A"          is an error where A is not set: A was forgotten
//	short:"i"          the flag's one-letter form
//	shown:"text"       how the default is described where it is computed at run time
//
// The package keeps no state: everything in it may be called concurrently.
package config
