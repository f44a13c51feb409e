package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// browser is headless Chromium, driven over the W3C WebDriver protocol by chromedriver.
type browser struct {
	*testing.T
	session string // URL
	client  http.Client
}

// element is a WebDriver element's reference, under the key that the protocol fixes for it.
type element map[string]string

const elementKey = "element-6066-11e4-a52e-4f735466cecf"

// browsers run two at a time: one waits while the other draws.
var browsers = make(chan struct{}, 2)

// newBrowser starts a browser of its own. A missing one is said aloud, and fails where nothing may be skipped.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	driver, err := exec.LookPath("chromedriver")
	if err != nil {
		if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
			t.Fatal("chromedriver is not installed (apt-get install chromium chromium-driver)")
		}
		t.Skip("SKIPPED, the console is not tried in a browser: chromedriver is not installed (apt-get install chromium chromium-driver)")
	}
	browsers <- struct{}{}
	t.Cleanup(func() { <-browsers })
	address := freePorts(t, 1)[0]
	cmd := exec.Command(driver, "--port="+address[strings.LastIndexByte(address, ':')+1:], "--silent")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	b := &browser{T: t, session: "http://" + address, client: http.Client{Timeout: time.Minute}}
	b.awaitDriver()
	var made struct {
		SessionID string `json:"sessionId"`
	}
	b.call("POST", "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "goog:loggingPrefs": map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{"args": []string{
			"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1",
			"--user-data-dir=" + t.TempDir(), "--lang=en-GB",
		}},
	}}}, &made)
	b.session += "/session/" + made.SessionID
	t.Cleanup(func() { b.call("DELETE", "", nil, nil) })
	return b
}

func (b *browser) awaitDriver() {
	b.Helper()
	for range 200 {
		if resp, err := b.client.Get(b.session + "/status"); err == nil {
			resp.Body.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	b.Fatal("chromedriver does not answer")
}

func (b *browser) call(method, path string, in, out any) {
	b.Helper()
	if err := b.try(method, path, in, out); err != nil {
		b.Fatal(err)
	}
}

// try makes one WebDriver command; out gets its value.
func (b *browser) try(method, path string, in, out any) error {
	var body io.Reader
	if method == http.MethodPost {
		if in == nil {
			in = struct{}{}
		}
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, b.session+path, body)
	if err != nil {
		return err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("WebDriver %s %s: %.300s", method, path, answer.Value)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, out)
}

// devtools gives a command of the Chrome DevTools protocol.
func (b *browser) devtools(cmd string, params map[string]any, out any) {
	b.Helper()
	b.call("POST", "/goog/cdp/execute", map[string]any{"cmd": cmd, "params": params}, out)
}

// script allows or forbids the pages' scripts.
func (b *browser) script(on bool) {
	b.Helper()
	b.devtools("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// look gives the window a width and the reader a preference for "light" or "dark".
func (b *browser) look(width int, theme string) {
	b.Helper()
	b.devtools("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.devtools("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": theme}}}, nil)
}

func (b *browser) open(url string) {
	b.Helper()
	b.call("POST", "/url", map[string]string{"url": url}, nil)
}

// at waits until the page's address has a part.
func (b *browser) at(part string) {
	b.Helper()
	var url string
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(url, part); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("at %s, not at %s", url, part)
		}
		b.call("GET", "/url", nil, &url)
	}
}

// on does something to an element, as soon as it is there; a page that is just changing is tried again.
func (b *browser) on(selector string, do func(path string) error) {
	b.Helper()
	var err error
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var e element
		if err = b.try("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &e); err != nil {
			continue
		}
		if err = do("/element/" + e[elementKey]); err == nil {
			return
		}
	}
	b.Fatalf("%s: %v", selector, err)
}

func (b *browser) fill(selector, text string) {
	b.Helper()
	b.on(selector, func(path string) error {
		if err := b.try("POST", path+"/clear", nil, nil); err != nil {
			return err
		}
		return b.try("POST", path+"/value", map[string]string{"text": text}, nil)
	})
}

func (b *browser) click(selector string) {
	b.Helper()
	b.on(selector, func(path string) error { return b.try("POST", path+"/click", nil, nil) })
}

// text is what a person reads there; an error while the page is changing.
func (b *browser) text(selector string) (s string, err error) {
	var e element
	if err = b.try("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &e); err == nil {
		err = b.try("GET", "/element/"+e[elementKey]+"/text", nil, &s)
	}
	return s, err
}

// left is how far from the window's left an element begins.
func (b *browser) left(selector string) float64 {
	b.Helper()
	var rect struct{ X float64 }
	b.on(selector, func(path string) error { return b.try("GET", path+"/rect", nil, &rect) })
	return rect.X
}

// reads waits until the page says so.
func (b *browser) reads(wanted ...string) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		s, err := b.text("body")
		missing := slices.DeleteFunc(slices.Clone(wanted), func(w string) bool { return strings.Contains(s, w) })
		if err == nil && len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("the page does not say %q (%v):\n%s", missing, err, s)
		}
	}
}

// complaints are what the browser logged: errors of scripts, violations of the policy.
func (b *browser) complaints() (all []string) {
	b.Helper()
	var entries []struct{ Level, Message string }
	b.call("POST", "/se/log", map[string]string{"type": "browser"}, &entries)
	for _, e := range entries {
		all = append(all, e.Level+" "+e.Message)
	}
	return all
}

// pictures keeps a page as it looks in both themes, on a desk and on a phone; opened anew for each where it has an address.
func (b *browser) pictures(name string, url ...string) {
	b.Helper()
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 390} {
			b.look(width, theme)
			for _, u := range url {
				b.open(u)
			}
			b.shoot(filepath.Join(pictures, fmt.Sprintf("%s-%s-%d.png", name, theme, width)))
		}
	}
}

// shoot keeps the whole page as a picture, and wants no sideways scrolling.
func (b *browser) shoot(file string) {
	b.Helper()
	var m struct {
		CSSContentSize    struct{ Width, Height float64 } `json:"cssContentSize"`
		CSSLayoutViewport struct{ ClientWidth float64 }   `json:"cssLayoutViewport"`
	}
	b.devtools("Page.getLayoutMetrics", map[string]any{}, &m)
	if m.CSSContentSize.Width > m.CSSLayoutViewport.ClientWidth {
		b.Errorf("%s: the page is %v wide, its window %v", file, m.CSSContentSize.Width, m.CSSLayoutViewport.ClientWidth)
	}
	var shot struct{ Data string }
	b.devtools("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "clip": map[string]any{
		"x": 0, "y": 0, "width": m.CSSContentSize.Width, "height": m.CSSContentSize.Height, "scale": 1,
	}}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.Fatal(err)
	}
}
