package abuse

import (
	"encoding/json"
	"errors"
	"fmt"
)

// wanted4 are what types of version 4 need beyond the core (github.com/xarf/xarf-spec,
// schemas/v4/types).
var wanted4 = map[string][]string{
	"connection/ddos": {"protocol", "first_seen"}, "connection/infected_host": {"protocol", "bot_type", "first_seen"}, "connection/login_attack": {"protocol", "first_seen"},
	"connection/port_scan": {"protocol", "first_seen"}, "connection/reconnaissance": {"protocol", "probed_resources", "first_seen"}, "connection/scraping": {"protocol", "first_seen", "total_requests"},
	"connection/sql_injection": {"protocol", "first_seen"}, "connection/vulnerability_scan": {"scan_type", "protocol", "first_seen"},
	"content/brand_infringement": {"url", "infringement_type", "legitimate_site"}, "content/exposed_data": {"url", "data_types", "exposure_method"}, "content/fraud": {"url", "fraud_type"},
	"content/malware": {"url"}, "content/phishing": {"url"}, "content/remote_compromise": {"url", "compromise_type"}, "content/suspicious_registration": {"url", "registration_date", "suspicious_indicators"},
	"content/csam": {"url", "classification", "detection_method"}, "content/csem": {"url", "exploitation_type", "detection_method"},
	"copyright/copyright": {"infringing_url"}, "copyright/cyberlocker": {"infringing_url", "hosting_service"}, "copyright/link_site": {"infringing_url", "site_name"},
	"copyright/ugc_platform": {"infringing_url", "platform_name"}, "infrastructure/botnet": {"compromise_evidence"}, "infrastructure/compromised_server": {"compromise_method"},
	"messaging/bulk_messaging": {"protocol", "recipient_count"}, "messaging/spam": {"protocol"}, "reputation/blocklist": {"threat_type"}, "reputation/threat_intelligence": {"threat_type"},
	"vulnerability/cve": {"service", "service_port", "cve_id"}, "vulnerability/misconfiguration": {"service"}, "vulnerability/open_service": {"service"},
}

// check4 holds a report of version 4 to the forms of its fields.
func check4(b []byte, kind string) error {
	var x map[string]any
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("reading an X-ARF report: %w", err)
	}
	party := object(map[string]form{"org": text, "contact": mailbox, "domain": text}, "org", "contact", "domain")
	for _, who := range []string{"reporter", "sender"} {
		if bad := party(x[who]); bad != "" {
			return errors.New(who + " " + bad + ": who reports?")
		}
	}
	item := object(map[string]form{"content_type": text, "payload": text, "description": text, "hash": like(`^(md5|sha1|sha256|sha512):[a-fA-F0-9]+$`)}, "content_type", "payload")
	fields := map[string]form{
		"report_id": like(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`), "description": text, "evidence": list(item, 50),
		"tags": list(like(`^[a-z0-9][a-z0-9_+-]*:[a-z0-9][a-z0-9_+-]*$`), 20), "first_seen": date, "last_seen": date, "source_port": whole(1, 65535),
		"confidence": func(v any) string {
			if n, ok := v.(float64); !ok || n < 0 || n > 1 {
				return "is no number from 0 to 1"
			}
			return ""
		},
	}
	return holds(x, fields, append([]string{"report_id", "source_identifier"}, wanted4[kind]...))
}
