package config

import (
	"regexp"
	"strings"
)

// gstin is the form of a regular taxpayer's: state, PAN, number of the registration, Z, check character. Those of NIC's
// sandbox have another letter than Z, and no check character.
var gstin = regexp.MustCompile(`^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z]$`)

const base36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// MeantGSTIN is a GSTIN with the check character that its other characters ask for. It is s itself when that is right, or
// when s is no regular GSTIN.
func MeantGSTIN(s string) string {
	if !gstin.MatchString(s) {
		return s
	}
	sum := 0
	for i := range 14 {
		v := strings.IndexByte(base36, s[i]) * (1 + i%2)
		sum += v/36 + v%36
	}
	return s[:14] + string(base36[(36-sum%36)%36])
}
