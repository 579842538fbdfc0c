package abuse

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// contact is who reported (version 4).
type contact struct {
	Org     string `json:"org"`
	Contact string `json:"contact"`
	Domain  string `json:"domain"`
}

// xarf4 are the fields of the core of version 4 (schemas/v4/xarf-core.json) that are
// needed to act, and those whose form says whether the report can be believed.
type xarf4 struct {
	Version     string   `json:"xarf_version"`
	ID          string   `json:"report_id"`
	Timestamp   string   `json:"timestamp"`
	Reporter    *contact `json:"reporter"`
	Sender      *contact `json:"sender"`
	Source      string   `json:"source_identifier"`
	SourcePort  *port    `json:"source_port"`
	Category    string   `json:"category"`
	Type        string   `json:"type"`
	URL         string   `json:"url"`
	Infringing  string   `json:"infringing_url"`
	Domain      string   `json:"domain"`
	From        string   `json:"smtp_from"`
	Description string   `json:"description"`
}

// xarf3 are those of version 3, and of 1 and 2, whose form is the same.
type xarf3 struct {
	Version      string `json:"Version"`
	ReporterInfo *struct {
		Org    string `json:"ReporterOrg"`
		Domain string `json:"ReporterOrgDomain"`
		Email  string `json:"ReporterOrgEmail"`
		Person string `json:"ReporterContactName"`
	} `json:"ReporterInfo"`
	Report *struct {
		Class         string `json:"ReportClass"`
		Type          string `json:"ReportType"`
		ID            string `json:"ReportID"`
		CaseID        string `json:"ReporterCaseID"`
		Date          string `json:"Date"`
		SourceIP      string `json:"SourceIp"`
		SourceURL     string `json:"SourceUrl"`
		URL           string `json:"Url"`
		Domain        string `json:"RpzDomain"`
		From          string `json:"SmtpMailFromAddress"`
		DestinationIP string `json:"DestinationIp"`
		Source        struct {
			IP  string `json:"IP"`
			URL string `json:"URL"`
		} `json:"Source"`
		Account *struct {
			Identifier string `json:"AccountIdentifier"`
		} `json:"Account"`
	} `json:"Report"`
}

// port is a port number of TCP or UDP.
type port int

// UnmarshalJSON refuses what is no port.
func (p *port) UnmarshalJSON(b []byte) error {
	var n int
	if err := json.Unmarshal(b, &n); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %s: want 1 to 65535", plain(string(b), 20))
	}
	*p = port(n)
	return nil
}

// categories are those of version 4.
const categories = " messaging content copyright connection vulnerability infrastructure reputation "

func parseXARF(b []byte) (Report, error) {
	var which struct {
		V4 string `json:"xarf_version"`
		V3 string `json:"Version"`
	}
	if err := json.Unmarshal(b, &which); err != nil {
		return Report{}, fmt.Errorf("reading an X-ARF report: %w", err)
	}
	switch {
	case strings.HasPrefix(which.V4, "4."):
		return parseXARF4(b)
	case slices.Contains([]string{"alpha", "1", "2", "3", "development"}, which.V3) || strings.HasPrefix(which.V3, "3."):
		return parseXARF3(b)
	}
	return Report{}, fmt.Errorf("X-ARF version %q: 3 and 4 are read", plain(which.V4+which.V3, 20))
}

func parseXARF4(b []byte) (Report, error) {
	var x xarf4
	if err := json.Unmarshal(b, &x); err != nil {
		return Report{}, fmt.Errorf("reading an X-ARF report: %w", err)
	}
	r := Report{Format: XARF4, Kind: plain(x.Type, 40), ID: plain(x.ID, 100), Note: plain(x.Description, 1000)}
	if x.Reporter == nil || x.Reporter.Org == "" || x.Reporter.Contact == "" || x.Sender == nil {
		return r, errors.New("reporter and sender are missing: who reports?")
	}
	r.Reporter = plain(x.Reporter.Org, 200)
	if !strings.Contains(categories, " "+x.Category+" ") || r.Kind == "" {
		return r, fmt.Errorf("category %q, type %q: want one of%sand a type", plain(x.Category, 40), r.Kind, categories)
	}
	if r.ID == "" {
		return r, errors.New("report_id is missing")
	}
	if err := check4(b, x.Category+"/"+strings.ReplaceAll(x.Type, "-", "_")); err != nil {
		return r, err
	}
	if err := located(x.Source); err != nil {
		return r, err
	}
	for _, s := range []string{x.Source, x.URL, x.Infringing, x.Domain} {
		r.source(s)
	}
	r.sender(x.From)
	var err error
	r.At, err = moment(x.Timestamp)
	return r, err
}

func parseXARF3(b []byte) (Report, error) {
	var x xarf3
	if err := json.Unmarshal(b, &x); err != nil {
		return Report{}, fmt.Errorf("reading an X-ARF report: %w", err)
	}
	if err := check3(b); err != nil {
		return Report{}, err
	}
	r := Report{Format: XARF3}
	if x.ReporterInfo != nil {
		r.Reporter = plain(cmp.Or(x.ReporterInfo.Org, x.ReporterInfo.Person), 200)
	}
	if r.Reporter == "" {
		return r, errors.New("ReporterInfo with ReporterOrg or ReporterContactName is missing: who reports?")
	}
	if x.Report == nil || x.Report.Class == "" || x.Report.Type == "" {
		return r, errors.New("Report with ReportClass and ReportType is missing")
	}
	r.Kind, r.ID = strings.ToLower(plain(x.Report.Type, 40)), plain(x.Report.ID+x.Report.CaseID, 100)
	for _, s := range []string{x.Report.SourceIP, x.Report.Source.IP, x.Report.DestinationIP} {
		if _, err := netip.ParseAddr(s); s != "" && err != nil {
			return r, fmt.Errorf("address %q is none", plain(s, 60))
		}
	}
	for _, s := range []string{x.Report.SourceIP, x.Report.Source.IP, x.Report.SourceURL, x.Report.Source.URL, x.Report.URL, x.Report.Domain} {
		if s == "" {
			continue
		}
		if err := located(s); err != nil {
			return r, err
		}
		r.source(s)
	}
	r.sender(x.Report.From)
	if x.Report.Account != nil {
		r.source("an account") // whose stands in the report, not in titles
	}
	if len(r.Sources) == 0 {
		return r, errors.New("the report names no source: SourceIp, SourceUrl and Url are all missing")
	}
	var err error
	r.At, err = moment(x.Report.Date)
	return r, err
}
