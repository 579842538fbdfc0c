package server_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store/storetest"
)

// oscalSchema is NIST's own schema of all OSCAL models.
func oscalSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/oscal/oscal_complete_schema-1.1.3.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("oscal.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("oscal.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// oscalResults is what the test reads of assessment results.
type oscalResults struct {
	Doc struct {
		Results []struct {
			Reviewed struct {
				Selections []struct {
					Include []struct {
						ID string `json:"control-id"`
					} `json:"include-controls"`
				} `json:"control-selections"`
			} `json:"reviewed-controls"`
			Observations []struct {
				UUID    string `json:"uuid"`
				Methods []string
			} `json:"observations"`
			Findings []struct {
				Target struct {
					ID     string `json:"target-id"`
					Status struct {
						State, Reason string
					} `json:"status"`
				} `json:"target"`
				Related []struct {
					UUID string `json:"observation-uuid"`
				} `json:"related-observations"`
			} `json:"findings"`
		} `json:"results"`
		Back struct {
			Resources []struct {
				RLinks []struct {
					Href   string
					Hashes []struct{ Value string }
				} `json:"rlinks"`
			}
		} `json:"back-matter"`
	} `json:"assessment-results"`
}

// TestOSCAL holds an export's OSCAL files to NIST's schema, to the duties that they
// speak of, and to the records that they name.
func TestOSCAL(t *testing.T) {
	schema := oscalSchema(t)
	w := newWorld(t, storetest.SQLite(t))
	w.months(8, 25)
	said := server.StatementRequest{Board: w.customer.ID, Duty: "PE-C2", Kind: duties.StatementAttestation, Good: true,
		Until: w.now.Add(80 * 24 * time.Hour), Text: "Kept in the vault.", User: "u_1"}
	if err := w.srv.State(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.Judge().Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string]bool{"folders": false, "packed": true} {
		t.Run(name, func(t *testing.T) {
			dir := w.export(func(q *bundle.Request) { q.Packed = packed })
			for _, file := range []string{"catalog", "assessment-results"} {
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.read(dir, "oscal/"+file+".json")))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(doc); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
			var got oscalResults
			if err := json.Unmarshal(w.read(dir, "oscal/assessment-results.json"), &got); err != nil {
				t.Fatal(err)
			}
			var stated []bundle.Duty
			if err := json.Unmarshal(w.read(dir, "duties.json"), &stated); err != nil {
				t.Fatal(err)
			}
			w.compareOSCAL(t, dir, got, stated)
			clouds := 0
			for _, d := range stated {
				if strings.HasPrefix(d.ID, "SC-") {
					clouds++
				}
			}
			catalog := string(w.read(dir, "oscal/catalog.json"))
			if n, code := strings.Count(catalog, `"value": "5(2)"`), strings.Count(catalog, `"value": "CISPE Data Protection Code of Conduct"`); n != len(stated) || code != clouds {
				t.Errorf("the catalog names article 5(2) %d times and the code of infrastructure %d times for %d duties, %d of them of infrastructure", n, code, len(stated), clouds)
			}
		})
	}
}

func (w *world) compareOSCAL(t *testing.T, dir string, got oscalResults, stated []bundle.Duty) {
	t.Helper()
	r := got.Doc.Results[0]
	if len(stated) == 0 || len(r.Findings) != len(stated) || len(r.Reviewed.Selections[0].Include) != len(stated) {
		t.Fatalf("%d duties, %d findings", len(stated), len(r.Findings))
	}
	seen, methods, rest := map[string]bool{}, map[string]int{}, 0
	for _, o := range r.Observations {
		seen[o.UUID] = true
		methods[o.Methods[0]]++
	}
	if methods["INTERVIEW"] != 1 || methods["INTERVIEW"]+methods["TEST"] != len(r.Observations) {
		t.Errorf("one statement of a person, the rest seen by agents: %v", methods)
	}
	for i, f := range r.Findings {
		if f.Target.ID != strings.ToLower(stated[i].ID)+"_obj" || (f.Target.Status.State == "satisfied") != (stated[i].State == duties.Fulfilled.String() || stated[i].State == duties.NoOccasion.String()) {
			t.Errorf("%s is %s: finding %+v", stated[i].ID, stated[i].State, f.Target)
		}
		for _, o := range f.Related {
			if rest++; !seen[o.UUID] {
				t.Errorf("%s rests on observation %s, which is not there", stated[i].ID, o.UUID)
			}
		}
	}
	if rest == 0 {
		t.Error("no finding rests on a record")
	}
	for _, res := range got.Doc.Back.Resources {
		link := res.RLinks[0]
		if strings.HasPrefix(link.Href, "https:") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "oscal", filepath.FromSlash(link.Href)))
		if err != nil || evidence.Sum(b).String() != link.Hashes[0].Value {
			t.Errorf("%s: %v, or another digest", link.Href, err)
		}
	}
}
