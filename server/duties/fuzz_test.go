package duties_test

import (
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

// FuzzJudge gives every duty facts of unknown make: it must answer, never claim
// more than unproven on what does not decode, and always have words.
func FuzzJudge(f *testing.F) {
	kinds := []evidence.Kind{evidence.KindDNSBL, evidence.KindBackup, evidence.KindEventLog, evidence.KindSoftware, evidence.KindHealth}
	for i, facts := range []string{
		`{"resolvers":[],"targets":[{"target":"192.0.2.1","found":"config"}],"lists":[],"answers":[]}`,
		`{"jobs":[{"job":"a","tool":"restic","result":"ok","runFrom":"log","points":0,"bytes":0,"files":0,"errors":0,"encryption":"none","integrity":{"result":"unknown"},"source":"report","paths":0}]}`,
		`{"ruleSet":"r","sources":[{"source":"journald","lines":1,"bytes":1,"whole":true}],"hits":[],"rules":1}`,
		`{"os":{"id":"debian","version":"12","name":"Debian"},"kernel":{"running":""},"managers":[],"packages":[],"pending":[],"products":[],"reboot":{"needed":"unknown"}}`,
		`{"samples":[{"at":"2026-11-23T08:00:00.000Z","cpu":1,"load1":1,"mem":1,"swap":0,"uptime":1}],"disks":[],"units":{"manager":"none"},"cpus":1,"memory":1,"swap":0}`,
	} {
		f.Add(i, `{"salt":"00000000000000000000000000000000","gaps":[],"facts":`+facts+`}`, int64(3600))
		f.Add(i, `{"salt":"00000000000000000000000000000000","gaps":[{"what":"a","why":"b"}],"facts":null}`, int64(-1))
	}
	c, err := duties.Builtin()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind int, blob string, ago int64) {
		k := kinds[uint(kind)%uint(len(kinds))]
		at := now.Add(-time.Duration(ago%1e7) * time.Second)
		q := duties.Question{At: now, Agents: []duties.Agent{{ID: "a_1", Name: "h", Enrolled: now.Add(-time.Hour * 999)}},
			Facts: []duties.Seen{{Agent: "a_1", Kind: k, Schema: 1, Received: at, From: at.Add(-time.Hour), To: at, Outcome: evidence.Complete, Blob: []byte(blob)}}}
		_, err := evidence.CheckFacts(k, 1, []byte(blob))
		for _, d := range append(c.Touched(duties.Provider, k), c.Touched(duties.Customer, k)...) {
			whole, parts := c.Judge(d, q)
			if why, _ := c.Render(duties.Italian, whole.Why); why == "" {
				t.Errorf("%s: no words for %s", d.ID, whole.Why)
			}
			for _, p := range parts {
				if err != nil && p.Verdict != duties.Unproven {
					t.Errorf("%s: %s on facts that do not decode: %v", d.ID, p.Verdict, err)
				}
			}
		}
	})
}
