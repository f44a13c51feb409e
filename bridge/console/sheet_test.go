package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"einvoice-bridge/bridge"
)

// odd are ids, each in a spelling that a spreadsheet would make something else of.
var odd = []string{document, "12345678901234567890", "2026E05", "00012345", "1-2", "TRUE"}

// oddStories have these ids, and remarks that could be a formula.
func oddStories() (all []bridge.Story) {
	for i, id := range odd {
		s := story(int64(i+1), id)
		s.Entry.Remarks = `=HYPERLINK("http://evil")`
		all = append(all, s)
	}
	return all
}

// A real LibreOffice opens both exports, and each id is the text that it was: the workbook's whatever one does, the CSV's
// where the column is marked as text in the dialog, as the guide says (type 2, in the filter's words).
func TestLibreOffice(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil {
		if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
			t.Fatal("LibreOffice is not installed (apt-get install libreoffice-calc-nogui)")
		}
		t.Skip("SKIPPED, the exports are not opened as an accountant does: LibreOffice is not installed (apt-get install libreoffice-calc-nogui)")
	}
	const comma = "Text - txt - csv (StarCalc):44,34,76,1" // fields by commas, texts in quotes, UTF-8, from line 1
	o := open(t, &memory{stories: oddStories()}, "")
	for kind, tc := range map[string]struct{ reading, remarks string }{
		"xlsx": {"Calc MS Excel 2007 XML", `=HYPERLINK("http://evil")`},
		"csv":  {fmt.Sprintf("%s,%d/2", comma, 1+slices.Index(csvHeader, "document")), `'=HYPERLINK("http://evil")`},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "export."+kind)
		_, body := o.get("/cancellations." + kind)
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		out, err := exec.CommandContext(ctx, office, "--headless", "-env:UserInstallation=file://"+dir+"/profile",
			"--infilter="+tc.reading, "--convert-to", "csv:"+comma, "--outdir", dir+"/read", file).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, out)
		}
		f, err := os.Open(filepath.Join(dir, "read", "export.csv"))
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, out)
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil || len(rows) != len(odd)+1 {
			t.Fatalf("%s: %d rows, %v\n%v", kind, len(rows), err, rows)
		}
		id, remarks := slices.Index(rows[0], "document"), slices.Index(rows[0], "remarks")
		for i, row := range rows[1:] {
			if want := odd[len(odd)-1-i]; row[id] != want || row[remarks] != tc.remarks {
				t.Errorf("%s, row %d: id %s, want %s; remarks %s", kind, i, row[id], want, row[remarks])
			}
		}
	}
}

// Every id is the text that it was, and a caller's text is no formula.
func TestXLSX(t *testing.T) {
	o := open(t, &memory{stories: oddStories()}, "")
	_, body := o.get("/cancellations.xlsx")
	f, err := excelize.OpenReader(bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Cancellations")
	if err != nil || len(rows) != len(odd)+1 || !slices.Equal(rows[0], sheetHeader()) {
		t.Fatalf("%d rows, %v\n%v", len(rows), err, rows)
	}
	for i, row := range rows[1:] {
		if want := odd[len(odd)-1-i]; row[3] != want || row[10] != `=HYPERLINK("http://evil")` || row[1] != "2026-11-22 12:00:00" || row[15] != "2026-11-22 17:30:00" {
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
