package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The command posts one alarm that says it is none, and tells whether the webhook took it.
func TestAlarmCommand(t *testing.T) {
	status := http.StatusNoContent
	var got []map[string]any
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a map[string]any
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		got = append(got, a)
		w.WriteHeader(status)
	}))
	t.Cleanup(hook.Close)
	_, path := sandboxed(t, func(text string) string {
		text = strings.Replace(text, `console: {listen`, `console: {public_url: "https://console.example", listen`, 1)
		return "alarms: {webhook: \"${TEST_WEBHOOK}\"}\n" + text
	})
	t.Setenv("SUDO_USER", "asha")
	t.Setenv("TEST_WEBHOOK", hook.URL+"/a-secret-path")
	out, err := runCommand(t, "alarm", "-c", path)
	if err != nil || !strings.Contains(out, "the webhook has taken it") {
		t.Errorf("%v\n%s", err, out)
	}
	if len(got) != 1 || got[0]["kind"] != "test" || got[0]["text"] != "a test by asha: nothing is wrong" {
		t.Errorf("the webhook got %v", got)
	}
	status = http.StatusForbidden
	if _, err := runCommand(t, "alarm", "-c", path); err == nil || !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "a-secret-path") {
		t.Errorf("turned away: %v", err)
	}
	hook.Close()
	if _, err := runCommand(t, "alarm", "-c", path); err == nil || strings.Contains(err.Error(), "a-secret-path") {
		t.Errorf("nobody there: %v", err)
	}
	_, path = sandboxed(t, nil)
	if _, err := runCommand(t, "alarm", "-c", path); err == nil || !strings.Contains(err.Error(), "no webhook is configured") {
		t.Errorf("without a webhook: %v", err)
	}
}
