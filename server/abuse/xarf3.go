package abuse

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// What version 3 says of its fields (github.com/abusix/xarf, schemas/3 and
// schemas/development). A report whose fields contradict their form cannot be believed;
// fields that it does not name are passed over.

// cvss wants a vector in the form of its version.
func cvss(v any) string {
	vector := like(`^CVSS:3\.[01]/AV:[NALP]/AC:[LH]/PR:[NLH]/UI:[NR]/S:[UC]/C:[NLH]/I:[NLH]/A:[NLH]`)
	if o, _ := v.(map[string]any); o["Version"] == "2" {
		vector = like(`^\(?AV:[LAN]/AC:[HML]/Au:[MSN]/C:[NPC]/I:[NPC]/A:[NPC]`)
	}
	return object(map[string]form{"Version": oneOf("3.1", "3.0", "2"), "Vector": vector}, "Version", "Vector")(v)
}

// sample wants its content with its type, or a file.
func sample(v any) string {
	o, _ := v.(map[string]any)
	want := []string{"ContentType", "Payload"}
	if o["FileName"] != nil {
		want = []string{"FileName"}
	}
	return object(map[string]form{"ContentType": text, "Payload": text, "Description": text, "FileName": text, "Base64Encoded": flag}, want...)(v)
}

func samples(v any) string {
	if list, ok := v.([]any); !ok || len(list) == 0 {
		return "is no list of samples"
	}
	return each(sample)(v)
}

func identifier(v any) string {
	if mailbox(v) == "" {
		return "is a mail address, which goes into AccountEmail"
	}
	return text(v)
}

// fields3 are the fields of a report.
func fields3() map[string]form {
	hash := object(map[string]form{"HashValue": text, "HashComplete": flag,
		"HashAlgorithm": oneOf("sha1", "sha2", "sha3", "sha256", "sha512", "md5", "argon2id", "scrypt", "bcrypt", "pbkdf2")}, "HashValue", "HashAlgorithm")
	port := whole(0, 65535)
	return map[string]form{
		"ReportClass": oneOf("Content", "Activity", "Vulnerability", "System", "Network", "Messaging"), "ReportType": text, "ReportSubType": text,
		"ReporterCaseID": text, "ReporterNotes": text, "ReporterSeverity": oneOf("low", "medium", "high"), "FirstSeen": date,
		"SourcePort": port, "DestinationPort": each(port), "AttackerPort": each(port), "ASN": whole(1, 4199999999),
		"ByteCount": whole(0, 1<<53), "PacketCount": whole(0, 1<<53), "FileSize": whole(0, 1<<53), "FileName": text, "FileHash": either(hash, text), "PasswordHash": hash,
		"Ongoing": flag, "ThreatActor": text, "BotnetName": text, "MalwareName": text, "InfringedMaterial": text, "MaterialType": text, "SharingProtocol": text,
		"TrademarkedMaterial": text, "RegistrationOffice": text, "RegistrationNumber": text, "Harasser": text, "HarassmentDescription": text,
		"ServiceName": text, "ServiceVersion": text, "TransportProtocol": oneOf("tcp", "udp"),
		"SmtpMailFromAddress": mailbox, "SmtpRcptToAddress": mailbox, "CourtOrder": like(`^[a-z]+:\S+$`), "CVE": like(`^CVE-\d{4}-\d{4,7}$`),
		"CVSS":    cvss,
		"Samples": samples, "Custom": values(textOrNumber), "Account": object(map[string]form{"AccountIdentifier": identifier}),
	}
}

// wanted3 are what some types need.
var wanted3 = map[string][]string{"openservice": {"ServiceName"}, "copyright": {"InfringedMaterial"}, "trademark": {"TrademarkedMaterial"},
	"harassment": {"Harasser", "HarassmentDescription"}, "harassed": {"Harasser", "HarassmentDescription"}, "potentiallycompromisedaccount": {"Account"}}

// check3 holds a report of version 3 to the forms of its fields.
func check3(b []byte) error {
	var x struct {
		Info     map[string]any `json:"ReporterInfo"`
		Behalf   any            `json:"OnBehalfOf"`
		Internal any            `json:"InternalProcessing"`
		Report   map[string]any `json:"Report"`
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("reading an X-ARF report: %w", err)
	}
	party := func(prefix string) form {
		return func(v any) string {
			want := []string{prefix + "Org", prefix + "OrgEmail"}
			if o, _ := v.(map[string]any); strings.EqualFold(fmt.Sprint(o[prefix+"Type"]), "person") {
				want = nil
			}
			return object(map[string]form{prefix + "Org": text, prefix + "OrgEmail": mailbox, prefix + "ContactEmail": mailbox, prefix + "OrgDomain": text}, want...)(v)
		}
	}
	if bad := party("Reporter")(x.Info); bad != "" {
		return errors.New("ReporterInfo: " + bad)
	}
	if x.Behalf != nil {
		if bad := party("Complainant")(x.Behalf); bad != "" {
			return errors.New("OnBehalfOf: " + bad)
		}
	}
	if x.Internal != nil {
		information := object(map[string]form{"ID": text, "SubscriberData": values(text), "ResolverData": values(text)})
		if bad := object(map[string]form{"SubscriberInformation": information, "ContractInformation": information, "EventTags": each(text)})(x.Internal); bad != "" {
			return errors.New("InternalProcessing: " + bad)
		}
	}
	kind := strings.ToLower(fmt.Sprint(x.Report["ReportType"]))
	if err := holds(x.Report, fields3(), wanted3[kind]); err != nil {
		return fmt.Errorf("the report's %w", err)
	}
	if account, _ := x.Report["Account"].(map[string]any); kind == "potentiallycompromisedaccount" && (len(account) == 0 || x.Report["SourceIp"] != nil || x.Report["SourceUrl"] != nil) {
		return errors.New("a report of a compromised account names the account, and no SourceIp or SourceUrl")
	}
	return nil
}
