package wsdl

import (
	"errors"
	"fmt"
	"unicode"
)

// check refuses what would render into a description that no tool can read.
func (p Params) check() error {
	if p.Location == "" || p.Namespace == "" || len(p.Operations) == 0 {
		return errors.New("location, namespace and at least one operation are needed")
	}
	seen := map[string]bool{}
	for _, op := range p.Operations {
		if err := names("operation", []string{op.Name}, seen); err != nil {
			return err
		}
		if err := names("request part of "+op.Name, op.Request, map[string]bool{}); err != nil {
			return err
		}
		if err := names("response part of "+op.Name, op.Response, map[string]bool{}); err != nil {
			return err
		}
		for _, name := range []string{op.Wrapper, op.ResponseName} {
			if name != "" && !isNCName(name) {
				return fmt.Errorf("response of %s: %q is no XML name", op.Name, name)
			}
		}
	}
	return nil
}

// checkRPC says what an rpc description could not express.
func (p Params) checkRPC() error {
	if p.Qualified {
		return errors.New("rpc parts are never qualified (WS-I BP 1.1 R2735)")
	}
	for _, op := range p.Operations {
		if op.ResponseElement() != op.Name+"Response" {
			return fmt.Errorf("the rpc answer to %s is always %sResponse (WS-I BP 1.1 R2729)", op.Name, op.Name)
		}
	}
	return nil
}

// names reports the first name that is not an NCName or stands twice.
func names(what string, list []string, seen map[string]bool) error {
	for _, n := range list {
		if !isNCName(n) {
			return fmt.Errorf("%s: %q is no XML name", what, n)
		}
		if seen[n] {
			return fmt.Errorf("%s: %q stands twice", what, n)
		}
		seen[n] = true
	}
	return nil
}

// isNCName is narrower than Namespaces in XML 1.0 where tools are: letters, digits, "_", "-" and ".", no colon.
func isNCName(s string) bool {
	for i, r := range s {
		if r == '_' || unicode.IsLetter(r) || i > 0 && (r == '-' || r == '.' || unicode.IsDigit(r)) {
			continue
		}
		return false
	}
	return s != ""
}
