package rehearsal

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
)

// Verdict is the report in one line.
func (r *Report) Verdict() string {
	c := r.Before
	switch {
	case r.After != nil:
		c = r.After
	case r.Calls == 0:
		return "nothing is recorded: forward.rehearse is not on, or nobody has called yet"
	}
	return fmt.Sprintf("%d of %d answers equal in names, order, types and status", c.Equal, c.Answers)
}

// Unseen says of which sort of answer to a cancellation the provider gave none: what ours of that sort look like is held to
// nothing. "" when both sorts came.
func (r *Report) Unseen() string {
	sort := ""
	switch c := r.Before; {
	case c == nil || c.Successes > 0 && c.Refusals > 0:
		return ""
	case c.Successes > 0:
		sort = "refusal"
	case c.Refusals > 0:
		sort = "success"
	default:
		sort = "success and no refusal"
	}
	return "the provider gave no " + sort + " to a cancellation: the words of one are still the bridge's own, and were compared with nothing"
}

// Understood is how many requests the bridge could read, or would go on relaying.
func (r *Report) Understood() int {
	n := r.Calls
	for _, g := range r.NotUnderstood {
		n -= g.Calls
	}
	return n
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	if r.Calls == 0 {
		fmt.Fprintln(&b, r.Verdict())
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "%d calls of %d kinds from %s to %s\n", r.Calls, len(r.Kinds), moment(r.First), moment(r.Last))
	for _, k := range r.Kinds {
		relayed := ""
		if k.Relayed {
			relayed = "  (relayed, also later)"
		}
		fmt.Fprintf(&b, "  %6d  %-20s %s%s\n", k.Calls, cmp.Or(k.Caller, "nobody known"), k.Operation, relayed)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "  %6d  more were relayed but not recorded\n", r.Lost)
	}
	fmt.Fprintf(&b, "\nunderstood: %d of %d\n", r.Understood(), r.Calls)
	writeGroups(&b, "", r.NotUnderstood, false)
	writeGroups(&b, "\nwould have been refused:\n", r.Refused, false)
	writeGroups(&b, "\nread leniently, which is nothing to act on:\n", r.Lenient, false)
	writeGroups(&b, "\nnot answered by the provider with SOAP:\n", r.Unanswered, false)
	writeGroups(&b, "\nheaders of the provider's answers that ours don't have:\n", r.Headers, true)
	fmt.Fprintf(&b, "\nas configured now: %d of %d answers equal in names, order, types and status\n", r.Before.Equal, r.Before.Answers)
	writeDifferences(&b, r.Before.Differences, r.Lines == "" || r.After == nil)
	if r.Lines != "" {
		fmt.Fprintf(&b, "\nthese lines of configuration make them equal:\n\n%s", indented(r.Lines))
	}
	if r.Problem != "" {
		fmt.Fprintf(&b, "\nthey can't be used as they are: %s\n", r.Problem)
	}
	if r.After != nil {
		fmt.Fprintf(&b, "\nwith them: %s\n", r.Verdict())
		writeDifferences(&b, r.After.Differences, true)
	}
	if unseen := r.Unseen(); unseen != "" {
		fmt.Fprintf(&b, "\n%s\n", unseen)
	}
	if c := cmp.Or(r.After, r.Before); c.Faults > 0 {
		fmt.Fprintf(&b, "\n%d of %d SOAP Faults look the same; the bridge's have a form of their own, which callers read by its names\n", c.EqualFaults, c.Faults)
		writeDifferences(&b, c.FaultDifferences, false)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

func writeGroups(b *strings.Builder, title string, all []Group, headers bool) {
	const most = 50
	if len(all) > 0 {
		b.WriteString(title)
	}
	for i, g := range all {
		if i == most {
			fmt.Fprintf(b, "          and %d more\n", len(all)-most)
			break
		}
		who := cmp.Or(g.Caller, "nobody known") + "; "
		if headers {
			who = ""
		}
		fmt.Fprintf(b, "  %6d  %s (%ssuch as %s)\n", g.Calls, g.Text, who, g.Ref)
	}
}

// writeDifferences lists them, with both answers of the first where that helps.
func writeDifferences(b *strings.Builder, all []Difference, samples bool) {
	for _, d := range all {
		fmt.Fprintf(b, "  %6d  %s: %s by the provider, %s by us\n", d.Calls, d.What, cmp.Or(d.Provider, "nothing"), cmp.Or(d.Ours, "nothing"))
	}
	if samples && len(all) > 0 {
		fmt.Fprintf(b, "  such as %s:\n    provider: %s\n    bridge:   %s\n", all[0].Ref, oneLine(all[0].ProviderSays), oneLine(all[0].WeSay))
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}
