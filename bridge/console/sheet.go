package console

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/xuri/excelize/v2"

	"einvoice-bridge/bridge"
)

// A sheet of Excel's has room for so many rows; what comes on top goes to further sheets.
const sheetRows = excelize.TotalRows

// WriteXLSX writes a workbook with a header and a row for each entry. Unlike with CSV no spreadsheet guesses what a cell
// is: ids of digits, 2026E05 and 00012345 stay the text that they are, and a caller's text is never a formula. Times are
// UTC. Nothing is written before all entries are read.
func WriteXLSX(w io.Writer, entries iter.Seq2[bridge.Entry, error]) error {
	return writeXLSX(w, entries, sheetRows)
}

func writeXLSX(w io.Writer, entries iter.Seq2[bridge.Entry, error], most int) (err error) {
	f := excelize.NewFile()
	defer f.Close()
	b := book{file: f, most: most}
	if b.time, err = f.NewStyle(&excelize.Style{CustomNumFmt: new("yyyy-mm-dd hh:mm:ss")}); err != nil {
		return err
	}
	if b.bold, err = f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}}); err != nil {
		return err
	}
	if err := b.begin("Cancellations"); err != nil {
		return err
	}
	for e, err := range entries {
		if err == nil {
			err = b.add(NewRow(e).cells(e, b.time))
		}
		if err != nil {
			return err
		}
	}
	if err := b.sheet.Flush(); err != nil {
		return err
	}
	return f.Write(w)
}

// book is a workbook that is being written, a sheet after the other.
type book struct {
	file       *excelize.File
	sheet      *excelize.StreamWriter
	most, rows int // of a sheet
	sheets     int
	time, bold int // styles
}

func (b *book) begin(name string) (err error) {
	if b.sheets++; b.sheets == 1 {
		err = b.file.SetSheetName("Sheet1", name)
	} else {
		_, err = b.file.NewSheet(name)
	}
	if err != nil {
		return err
	}
	if b.sheet, err = b.file.NewStreamWriter(name); err != nil {
		return err
	}
	if err := b.sheet.SetColWidth(1, len(csvHeader), 20); err != nil {
		return err
	}
	header := make([]any, len(csvHeader))
	for i, h := range sheetHeader() {
		header[i] = excelize.Cell{Value: h, StyleID: b.bold}
	}
	b.rows = 0
	return b.add(header)
}

// timeColumns hold times of ours, which a cell can't say the zone of.
var timeColumns = []string{"created", "updated", "next_lookup", "cancel_by"}

func sheetHeader() []string {
	header := slices.Clone(csvHeader)
	for i, h := range header {
		if slices.Contains(timeColumns, h) {
			header[i] += " (UTC)"
		}
	}
	return header
}

func (b *book) add(cells []any) error {
	if b.rows == b.most {
		if err := b.sheet.Flush(); err != nil {
			return err
		}
		if err := b.begin(fmt.Sprint("Cancellations ", b.sheets+1)); err != nil {
			return err
		}
	}
	b.rows++
	at, err := excelize.CoordinatesToCellName(1, b.rows)
	if err != nil {
		return err
	}
	return b.sheet.SetRow(at, cells)
}

// cells are the row's fields as what they are: numbers, times and text.
func (r Row) cells(e bridge.Entry, timeStyle int) []any {
	all := make([]any, len(csvHeader))
	for i, s := range r.texts() {
		all[i] = s
	}
	for i, h := range csvHeader {
		switch h {
		case "id":
			all[i] = r.ID
		case "sends":
			all[i] = r.Sends
		case "lookups":
			all[i] = r.Lookups
		case "created":
			all[i] = cellTime(e.Created, timeStyle)
		case "updated":
			all[i] = cellTime(e.Updated, timeStyle)
		case "next_lookup":
			all[i] = cellTime(e.NextLookup, timeStyle)
		case "cancel_by":
			all[i] = cellTime(Deadline(e), timeStyle)
		}
	}
	return all
}

// cellTime is a time as spreadsheets count, which know no zones; empty without one.
func cellTime(t time.Time, style int) any {
	if t.IsZero() {
		return nil
	}
	return excelize.Cell{Value: t.UTC(), StyleID: style}
}
