package invx

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

var update = flag.Bool("update", false, "write what replies mean into fixtures/invx/replies.txtar")

const (
	samples   = "../../../fixtures/invx/"
	sampleIRN = "807ee586c0b4a440efcb85b2463c17c8700201753e52a4e5a20b229c8394fb30"
)

func TestGoldenCancels(t *testing.T) {
	upstreamtest.Golden(t, samples+"replies.txtar", *update, func(r *upstream.Reply) string {
		return upstreamtest.Words(classify(r, read(r), sampleIRN))
	})
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(samples + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDocumentedSamplesAreUnderstoodAsTheyStand(t *testing.T) {
	r := &upstream.Reply{Status: 200, Body: sample(t, "cancel-reply.json"), Written: true}
	if o := classify(r, read(r), sampleIRN); o.Class != bridge.Cancelled || o.Date != "2023-01-23 10:24:00" {
		t.Errorf("the documented success is %+v", o)
	}
	r = &upstream.Reply{Status: 400, Body: sample(t, "cancel-refused.json"), Written: true}
	want := "err-incorrect-update-action: action can on state 240 (CANCELLED)"
	if o := classify(r, read(r), sampleIRN); o.Class != bridge.AlreadyCancelled || o.Message != want {
		t.Errorf("the documented refusal is %+v", o)
	}
}

func TestRequestIsTheDocumentedSample(t *testing.T) {
	a := &Adapter{}
	q := a.patch("010217a4-4fa2-4bec-9271-9df07fff2700", bridge.Cancellation{Reason: bridge.OrderCancelled, Remarks: "test cancellation"})
	var want, got any
	if err := json.Unmarshal(sample(t, "cancel-request.json"), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(q.Body, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCancelReasonsAreNumberedTextsAndRemarksNeverEmpty(t *testing.T) {
	a := &Adapter{}
	for reason, comments := range map[bridge.Reason]string{
		bridge.Duplicate: "Duplicate", bridge.DataEntry: "Data entry mistake", bridge.OrderCancelled: "Order cancelled", bridge.Others: "Others",
	} {
		var sent []cancelItem
		if err := json.Unmarshal(a.patch("id", bridge.Cancellation{Reason: reason}).Body, &sent); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]cancelItem{{"id", comments, string(reason), "can"}}, sent); d != "" {
			t.Error(d)
		}
	}
}

// FuzzReply reads whatever comes back, as each of the calls would: nothing may panic, and no success is believed that
// does not name the IRN.
func FuzzReply(f *testing.F) {
	for _, name := range []string{"cancel-reply.json", "cancel-refused.json", "cancel-request.json"} {
		f.Add(200, sample(f, name))
	}
	f.Add(502, []byte(`{"error":{"message":"err-irp-returned-error","args":{"irp-err":{"details":[{"errorCode":"2230"}]}}}}`))
	f.Add(200, []byte(`{"data":{"token":"t","expiry":1674449549398,"associatedOrgs":[{"organisation":{"id":"o"}}]}}`))
	f.Add(200, []byte(`{"status":"1","data":[{"itemStatus":"0","itemErrors":[null,"9999: not active",{"message":1}]}]}`))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		r := &upstream.Reply{Status: status, Body: raw, Written: true}
		b := read(r)
		o := classify(r, b, sampleIRN)
		switch {
		case o.Class == bridge.None:
			t.Error("no outcome")
		case o.Class == bridge.Cancelled:
			if items, _ := b.items(); len(items) != 1 || !items[0].Data.is(sampleIRN, items[0].Data.Seller) {
				t.Errorf("%s is taken for a success", raw)
			}
		}
		b.refusesToken(status)
		if d, ok := b.document(); ok {
			d.reading()
		}
		if data, refused := readToken(r); (refused == nil) != (data.Token != "") {
			t.Errorf("token %q beside %v", data.Token, refused)
		}
	})
}
