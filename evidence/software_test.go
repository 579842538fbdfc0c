package evidence_test

import (
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

func goodSoftware() evidence.Software {
	return evidence.Software{
		OS:       evidence.OSRelease{ID: "debian", Version: "12", Name: "Debian 12", EOL: "2028-06-30", RegularEOL: "2026-07-11"},
		Managers: []evidence.Manager{{Name: "dpkg", Packages: 1, Broken: 1, BrokenNames: []string{"curl"}, Security: true}},
		Packages: []evidence.Package{{Manager: "dpkg", Name: "curl", Version: "7.88.1-10"}},
		Pending:  []evidence.Update{{Manager: "dpkg", Name: "curl", Installed: "7.88.1-10", Candidate: "7.88.1-11", Security: true}},
		Products: []evidence.Product{{Name: "php", Version: "8.2.29", From: evidence.FromProducer, EOL: "2026-12-31"}},
		Reboot:   evidence.Reboot{Needed: evidence.Yes, Why: []string{"kernel"}},
	}
}

func TestSoftwareValidate(t *testing.T) {
	if err := goodSoftware().Validate(); err != nil {
		t.Fatalf("good facts: %v", err)
	}
	for name, c := range map[string]struct {
		spoil func(*evidence.Software)
		says  string
	}{
		"no word for reboot":        {func(s *evidence.Software) { s.Reboot.Needed = "" }, "reboot"},
		"an unknown word":           {func(s *evidence.Software) { s.Reboot.Needed = "maybe" }, "reboot"},
		"a reboot without a reason": {func(s *evidence.Software) { s.Reboot.Why = nil }, "reason"},
		"a day in another form":     {func(s *evidence.Software) { s.OS.EOL = "30.06.2028" }, "no day"},
		"a regular day that is none": {func(s *evidence.Software) {
			s.OS.RegularEOL = "2026-02-30"
		}, "no day"},
		"a manager without a name":        {func(s *evidence.Software) { s.Managers[0].Name = "" }, "manager"},
		"one manager twice":               {func(s *evidence.Software) { s.Managers = append(s.Managers, s.Managers[0]) }, "twice"},
		"more names than broken packages": {func(s *evidence.Software) { s.Managers[0].Broken = 0 }, "broken"},
		"a package without a name":        {func(s *evidence.Software) { s.Packages[0].Name = "" }, "package"},
		"a package without a version":     {func(s *evidence.Software) { s.Packages[0].Version = "" }, "package"},
		"a package of no manager":         {func(s *evidence.Software) { s.Packages[0].Manager = "rpm" }, "manager"},
		"a control character in a name":   {func(s *evidence.Software) { s.Packages[0].Name = "a\x1b[2J" }, "package"},
		"an update without a candidate":   {func(s *evidence.Software) { s.Pending[0].Candidate = "" }, "pending"},
		"an update of no manager":         {func(s *evidence.Software) { s.Pending[0].Manager = "" }, "pending"},
		"a security update, unsorted":     {func(s *evidence.Software) { s.Pending[0].Unsorted = true }, "unsorted"},
		"a product without a version":     {func(s *evidence.Software) { s.Products[0].Version = "" }, "product"},
		"a product from elsewhere":        {func(s *evidence.Software) { s.Products[0].From = "x" }, "from"},
		"a product's day that is none":    {func(s *evidence.Software) { s.Products[0].EOL = "soon" }, "no day"},
	} {
		s := goodSoftware()
		c.spoil(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
