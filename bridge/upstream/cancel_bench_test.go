package upstream_test

import (
	"log/slog"
	"net/http"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/cleartax"
	"einvoice-bridge/bridge/upstream/invx"
	"einvoice-bridge/bridge/upstream/mastersindia"
	"einvoice-bridge/bridge/upstream/myinvois"
	"einvoice-bridge/bridge/upstream/nic"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	cleartaxsim "einvoice-bridge/fixtures/sandbox/cleartax"
	invxsim "einvoice-bridge/fixtures/sandbox/invx"
	mastersindiasim "einvoice-bridge/fixtures/sandbox/mastersindia"
	myinvoissim "einvoice-bridge/fixtures/sandbox/myinvois"
	nicsim "einvoice-bridge/fixtures/sandbox/nic"
)

// carrier makes a kind's adapter against its simulator, and a document of it that can be cancelled.
type carrier struct {
	kind               string
	taxpayer, document string
	budget             float64 // of allocations
	make               func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error)
}

var carriers = []carrier{
	{"mastersindia", mastersindiasim.DemoGSTIN, mastersindiasim.DemoIRN, 65, func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error) {
		set.BaseURL = at(mastersindiasim.Demo(mastersindiasim.Options{}))
		return mastersindia.New(mastersindia.Config{Settings: set, API: mastersindia.Legacy,
			Username: mastersindiasim.DemoUsername, Password: mastersindiasim.DemoPassword,
			ClientID: mastersindiasim.DemoClientID, ClientSecret: mastersindiasim.DemoClientSecret}, s)
	}},
	{"nic", nicsim.DemoGSTIN, nicsim.DemoIRN, 70, func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error) {
		sim := nicsim.Demo(nicsim.Options{})
		set.BaseURL = at(sim)
		return nic.New(nic.Config{Settings: set, ClientID: nicsim.DemoClientID, ClientSecret: nicsim.DemoClientSecret,
			Username: nicsim.DemoUser, Password: nicsim.DemoPassword, PublicKey: sim.PublicKeyPEM()}, s)
	}},
	{"invx", invxsim.DemoGSTIN, invxsim.DemoIRN, 120, func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error) {
		set.BaseURL = at(invxsim.Demo(invxsim.Options{}))
		return invx.New(invx.Config{Settings: set, AuthURL: set.BaseURL + "/theodore/apis/v1", OrgID: invxsim.DemoOrgID,
			Username: invxsim.DemoHandle, Password: invxsim.DemoPassword, Parallel: 1000}, s)
	}},
	{"myinvois", myinvoissim.DemoTIN, myinvoissim.DemoUUID, 85, func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error) {
		set.BaseURL = at(myinvoissim.Demo(myinvoissim.Options{}))
		return myinvois.New(myinvois.Config{Settings: set, ClientID: myinvoissim.DemoClientID, ClientSecret: myinvoissim.DemoClientSecret}, s)
	}},
	{"cleartax-in", cleartaxsim.DemoGSTIN, cleartaxsim.DemoIRN, 62, func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error) {
		set.BaseURL = at(cleartaxsim.DemoIndia(cleartaxsim.Options{}))
		return cleartax.NewIndia(cleartax.IndiaConfig{Access: cleartax.Access{Settings: set, Token: cleartaxsim.DemoToken}}, s)
	}},
	{"cleartax-my", cleartaxsim.DemoTIN, cleartaxsim.DemoUUID, 70, func(set upstream.Settings, at func(http.Handler) string, s *upstream.Shared) (bridge.Upstream, error) {
		set.BaseURL = at(cleartaxsim.DemoMalaysia(cleartaxsim.Options{}))
		return cleartax.NewMalaysia(cleartax.MalaysiaConfig{Access: cleartax.Access{Settings: set, Token: cleartaxsim.DemoToken}, TIN: cleartaxsim.DemoTIN}, s)
	}},
}

// BenchmarkCancel is a whole cancel over a kept connection, from the Service's call to the outcome.
func BenchmarkCancel(b *testing.B) {
	for _, k := range carriers {
		b.Run(k.kind, func(b *testing.B) {
			set := upstream.Settings{Name: k.kind, Taxpayer: k.taxpayer}
			a, err := k.make(set, func(h http.Handler) string { return upstreamtest.Repeat(b, h) },
				upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler)))
			if err != nil {
				b.Fatal(err)
			}
			c := bridge.Cancellation{Taxpayer: k.taxpayer, Document: k.document, Reason: bridge.DataEntry, Remarks: "Wrong entry", Ref: "ref"}
			b.ReportAllocs()
			for b.Loop() {
				if o := a.Cancel(b.Context(), c, upstreamtest.Free); o.Class != bridge.Cancelled {
					b.Fatalf("%+v", o)
				}
			}
			b.ReportMetric(k.budget, "budget-allocs/op")
		})
	}
}
