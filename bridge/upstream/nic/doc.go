// Package nic carries cancellations straight to the Invoice Registration Portal of India's National Informatics
// Centre, or to a gateway that passes its encrypted format through.
//
// Start with [New] and [Adapter.Cancel]. The protocol in short (NIC e-invoice API, "Authentication" 1.04 and "Cancel
// IRN" 1.03):
//
//   - a login sends user name, password and a fresh AES key (the AppKey), RSA-encrypted with NIC's public key, and
//     brings a token for headers and the session key SEK, wrapped with the AppKey. NIC hands out the same token until
//     it expires, and blocks those who log in for each call (session.go);
//   - a cancel is small JSON, AES-256-ECB-encrypted with the SEK; so is the reply. NIC answers everything with HTTP
//     200; what happened is in Status and ErrorDetails (wire.go, classify.go);
//   - what NIC holds for an IRN is asked with a GET, for two or three days after its generation.
//
// NIC's public key comes in files of all kinds; package publickey makes it out.
//
// Nothing is kept on disk. Tokens, keys and passwords never reach an error, an exchange or a log.
package nic
