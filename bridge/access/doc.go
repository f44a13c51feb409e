// Package access decides who is calling and for which taxpayers he may act.
//
// A caller shows an access token with every call: a long-lived one from the configuration or one that
// access_new_token issued. [Access.Authenticate] finds the caller behind it, [Caller.May] says for whom he may act.
// [Access.Login] is access_new_token; [Access.Basic] and [Access.UsernameToken] let in callers that show user name
// and password instead of a token.
//
// A caller may be bound to addresses and to client certificates, by fingerprint or name. Then its token, or password,
// counts only from an [Origin] that fits; elsewhere it is refused as if it were wrong. A certificate alone lets nobody
// in. That it is genuine is TLS's business, done before this package sees it.
//
// Tokens are known only by their SHA-256, passwords and client secrets only by their argon2id; what is compared takes
// as long for an unknown name as for a known one. Nothing that this package returns, errors included, holds a secret.
//
// [Access.Next] is for a changed configuration: limits, failed guesses and what the journal said are counted on.
//
// Guessing: tokens have 160 bits, so a wrong one is refused and nothing more. Wrong passwords slow down whoever sends
// them: a name at an address, the address, and a name at all addresses where it was never let in; the owner of the name is
// not held up by them where he has been let in before. Few are computed at a time, since each takes some 20 MB,
// and a wrong one is followed by a rest: guessers get no more than a share of the processors.
package access
