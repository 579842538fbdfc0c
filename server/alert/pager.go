package alert

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/opsgenie"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/pagerduty"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/attesto/attesto/server/duties"
)

// incident is what a paging service knows an alert by, over all that is told of it;
// a test by its delivery.
func incident(m Message) string { return cmp.Or(m.Alert.ID, m.ID) }

// origin is where it is; of a test, who is told.
func origin(m Message) string { return plain(cmp.Or(m.Alert.Name, m.OrgName, "-"), chatSubject) }

// toPagerDuty opens an incident, and closes it when the alert is resolved
// (developer.pagerduty.com, Events API v2).
func toPagerDuty(_ context.Context, c *http.Client, u *url.URL, m Message) error {
	s := &pagerduty.Service{}
	if u.Port() == "" { // else the library posts to port 0
		u.Host += ":443"
	}
	p := types.Params{"dedup_key": incident(m), "source": origin(m), "action": "trigger", "client": "Attesto"}
	if m.Event == Resolved {
		p["action"] = "resolve"
	}
	if m.Link != "" {
		p["client_url"] = m.Link
	}
	if !u.Query().Has("severity") {
		switch {
		case m.Event == EventTest:
			p["severity"] = "info"
		case m.Alert.Verdict == duties.Unproven:
			p["severity"] = "warning"
		}
	}
	return byLibrary(s, u, func() { s.SetHTTPClient(c) }, chatTitle(m)+"\n"+chatText(m), p)
}

// toOpsgenie opens an alert, and closes it when ours is resolved
// (docs.opsgenie.com/docs/alert-api). The library knows no closing.
func toOpsgenie(ctx context.Context, c *http.Client, u *url.URL, m Message) error {
	var conf opsgenie.Config
	if err := conf.SetURL(u); err != nil {
		return err
	}
	to, key := fmt.Sprintf("https://%s:%d/v2/alerts", conf.Host, conf.Port), "GenieKey "+conf.APIKey
	if m.Event == Resolved {
		to += "/" + url.PathEscape(incident(m)) + "/close?identifierType=alias"
		_, err := post(ctx, c, http.MethodPost, to, key, opsgenie.AlertPayload{Source: "Attesto", Note: chatText(m)})
		return err
	}
	_, err := post(ctx, c, http.MethodPost, to, key, opsgenie.AlertPayload{Message: plain(m.Subject, opsgenie.MaxMessageLength), Alias: incident(m),
		Description: chatTitle(m) + "\n" + chatText(m), Responders: conf.Responders, VisibleTo: conf.VisibleTo, Tags: conf.Tags, Entity: conf.Entity,
		Priority: conf.Priority, Source: "Attesto"})
	return err
}
