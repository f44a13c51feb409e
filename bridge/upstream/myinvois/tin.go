package myinvois

import (
	"regexp"
	"strings"
)

// tinOrROB is a TIN, with the number of the business registration where one person has several (MyInvois SDK, Login as
// Intermediary System).
var tinOrROB = regexp.MustCompile(`^[A-Za-z]{1,2}[0-9]{5,13}(:[0-9A-Za-z-]{1,40})?$`)

func isTIN(s string) bool { return tinOrROB.MatchString(strings.TrimSpace(s)) }

// normalTIN writes a TIN as MyInvois keeps it (MyInvois SDK, FAQ): individuals under IG, which replaced OG and SG; all
// others without zeros after the letters and with a zero at the end. EI are LHDN's general TINs, taken as they are.
func normalTIN(s string) string {
	tin, rob, hasROB := strings.Cut(strings.ToUpper(strings.TrimSpace(s)), ":")
	letters := strings.TrimRight(tin, "0123456789")
	digits := tin[len(letters):]
	switch letters {
	case "", "EI":
	case "IG", "OG", "SG":
		letters = "IG"
	default:
		digits = strings.TrimLeft(digits, "0")
		if !strings.HasSuffix(digits, "0") {
			digits += "0"
		}
	}
	if tin = letters + digits; hasROB {
		tin += ":" + rob
	}
	return tin
}
