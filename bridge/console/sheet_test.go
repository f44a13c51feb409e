package console

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/xuri/excelize/v2"

	"einvoice-bridge/bridge"
)

// Every id is the text that it was, in each spelling that a spreadsheet would make something else of, and a caller's text
// is no formula.
func TestXLSX(t *testing.T) {
	ids := []string{document, "12345678901234567890", "2026E05", "00012345", "1-2", "TRUE"}
	var stories []bridge.Story
	for i, id := range ids {
		s := story(int64(i+1), id)
		s.Entry.Remarks = `=HYPERLINK("http://evil")`
		stories = append(stories, s)
	}
	o := open(t, &memory{stories: stories}, "")
	_, body := o.get("/cancellations.xlsx")
	f, err := excelize.OpenReader(bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Cancellations")
	if err != nil || len(rows) != len(ids)+1 || !slices.Equal(rows[0], sheetHeader()) {
		t.Fatalf("%d rows, %v\n%v", len(rows), err, rows)
	}
	for i, row := range rows[1:] {
		if want := ids[len(ids)-1-i]; row[3] != want || row[10] != `=HYPERLINK("http://evil")` || row[1] != "2026-11-22 12:00:00" || row[15] != "2026-11-22 17:30:00" {
			t.Errorf("row %d: %q, want the id %s", i, row, want)
		}
		for _, cell := range []string{"D", "K", "P"} {
			at := fmt.Sprint(cell, i+2)
			kind, err := f.GetCellType("Cancellations", at)
			if formula, _ := f.GetCellFormula("Cancellations", at); err != nil || formula != "" || kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString {
				t.Errorf("%s is of type %v, formula %q, %v", at, kind, formula, err)
			}
		}
	}
}

// More rows than a sheet holds go to further sheets, each with its header.
func TestXLSXOfManyRows(t *testing.T) {
	var entries iter.Seq2[bridge.Entry, error] = func(yield func(bridge.Entry, error) bool) {
		for i := range 25 {
			if !yield(story(int64(i), document).Entry, nil) {
				return
			}
		}
	}
	var b bytes.Buffer
	if err := writeXLSX(&b, entries, 11); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var sizes []int
	for _, name := range f.GetSheetList() {
		rows, err := f.GetRows(name)
		if err != nil || !slices.Equal(rows[0], sheetHeader()) {
			t.Errorf("%s: %v", name, err)
		}
		sizes = append(sizes, len(rows))
	}
	if !slices.Equal(sizes, []int{11, 11, 6}) {
		t.Errorf("sheets %v of %v rows", f.GetSheetList(), sizes)
	}
}
