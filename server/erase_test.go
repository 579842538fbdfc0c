package server_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func (w *world) sound() string {
	w.t.Helper()
	done, err := w.srv.Check(context.Background(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, f := range done.Faults {
		all = append(all, f.Where+": "+f.What)
	}
	return strings.Join(all, "\n")
}

// board is every verdict of an organisation as text.
func (w *world) board(org string) string {
	w.t.Helper()
	list, err := w.store.Verdicts(context.Background(), org)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, v := range list {
		changes, err := w.store.VerdictChanges(context.Background(), org, v.Duty, time.Time{}, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintln(&b, v.Duty, v.Part, v.Verdict, v.Since.UnixMicro(), v.Why, v.Cites, changes)
	}
	return b.String()
}

// One detail and one customer are erased: all that remains verifies, and no verdict
// changes.
func TestErasure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h, _ := w.months(3, 3)
		if err := w.srv.Judge().Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		before := w.board(w.customer.ID)
		if before == "" {
			t.Fatal("no board")
		}
		index := w.indexOf(h, 2)
		list, err := w.srv.BlobsOf(ctx, w.customer.ID, index, false, true)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		entries, err := w.srv.EraseBlobs(ctx, w.customer.ID, list, "request", "")
		if err != nil || len(entries) != 1 {
			t.Fatalf("%v, %v", entries, err)
		}
		b, err := w.store.Blob(ctx, w.placeOf(h, 2, list[0]))
		if err != nil || b.Data != nil || b.Erased.IsZero() || b.Index != entries[0] {
			t.Fatalf("%+v, %v", b, err)
		}
		if _, err := w.srv.EraseBlobs(ctx, w.customer.ID, list, "request", ""); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("erased twice: %v", err)
		}
		if _, err := w.srv.EraseBlobs(ctx, w.provider.ID, list, "request", ""); err == nil {
			t.Error("erased from another organisation")
		}
		if _, err := w.srv.EraseBlobs(ctx, w.customer.ID, list, "because", ""); err == nil {
			t.Error("erased without a known reason")
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("after erasing a detail:\n%s", faults)
		}
		if code, out := verdict(t, w.export()); code != 0 {
			t.Errorf("export after erasing a detail: exit %d:\n%s", code, out)
		}
		facts, err := w.srv.BlobsOf(ctx, w.customer.ID, index, true, false)
		if err == nil {
			_, err = w.srv.EraseBlobs(ctx, w.customer.ID, facts, "mistake", "")
		}
		if err != nil {
			t.Fatal(err)
		}
		dir := w.export()
		if code, out := verdict(t, dir); code != 0 || !strings.Contains(out, "1 were erased since") {
			t.Errorf("export after erasing facts: exit %d:\n%s", code, out)
		}
		if code, out := second(t, dir); code != 0 {
			t.Errorf("verify.py after erasing facts: exit %d:\n%s", code, out)
		}
		if err := w.srv.EraseOrg(ctx, w.customer.ID, ""); err != nil {
			t.Fatal(err)
		}
		if err := w.srv.Judge().Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if after := w.board(w.customer.ID); after != before {
			t.Errorf("the board changed:\n%s\nwas:\n%s", after, before)
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("after erasing the customer:\n%s", faults)
		}
		if code, out := verdict(t, w.export()); code != 0 || !strings.Contains(out, "all facts and details of the organisation were erased") {
			t.Errorf("export after erasing the customer: exit %d:\n%s", code, out)
		}
		if _, err := os.Stat(w.data + "/keys/data/" + w.customer.ID + ".key"); !os.IsNotExist(err) {
			t.Errorf("the data key is still there (%v)", err)
		}
		if _, refusal := w.call("POST", evidence.PathRecords, h.push, evidence.Push{}, nil); refusal == nil {
			t.Error("an agent of an erased customer may still push")
		}
		if err := w.srv.EraseOrg(ctx, w.provider.ID, ""); err == nil {
			t.Error("the provider was erased")
		}
	})
}

func (w *world) indexOf(h *host, seq int64) int64 {
	w.t.Helper()
	rec, err := w.store.RecordBySeq(context.Background(), h.org, h.id, seq)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Index
}

// placeOf is where a blob that an agent's record names lies.
func (w *world) placeOf(h *host, seq int64, d evidence.Digest) store.Place {
	w.t.Helper()
	rec, err := w.store.RecordBySeq(context.Background(), h.org, h.id, seq)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Place(d)
}

// Nothing of a blob can be read in the files of the database, before it is erased
// or after.
func TestBlobsAreSealed(t *testing.T) {
	ctx := context.Background()
	dsn := storetest.SQLite(t)
	w := newWorld(t, dsn)
	h := w.enrolled(w.customer)
	h.pushes(h.seals(3)...)
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(strings.TrimPrefix(dsn, "sqlite:") + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("mail.example")) || bytes.Contains(raw, []byte("not_listed")) {
			t.Errorf("facts or details can be read in the database%s", suffix)
		}
	}
	// A copy from before the erasure, with the key gone, tells nothing.
	list, err := w.srv.BlobsOf(ctx, w.customer.ID, w.indexOf(h, 1), true, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.keys.Data.Destroy(w.customer.ID); err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if b, err := w.store.Blob(ctx, w.placeOf(h, 1, d)); err != nil || b.Data != nil || b.Broken == "" {
			t.Errorf("%+v, %v", b, err)
		}
	}
	if faults := w.sound(); !strings.Contains(faults, "no data key") {
		t.Errorf("a lost key is not reported:\n%s", faults)
	}
	// No second key comes into being that would split the contents.
	a := h.seal()
	if got := w.try(h, a); got == nil {
		t.Error("records were taken although their contents cannot be sealed")
	}
}

// try pushes one record and returns the refusal of the whole push.
func (w *world) try(h *host, s sealed) *evidence.Error {
	_, refusal := w.call("POST", evidence.PathRecords, h.push, evidence.Push{Known: evidence.KnownHead{Size: h.known.Size}, Records: []evidence.PushRecord{s.wire()}}, nil)
	return refusal
}

// An older copy that is put back holds what was erased: check says so, and replay
// deletes it again.
func TestErasureIsReplayed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(2)...)
		list, err := w.srv.BlobsOf(ctx, w.customer.ID, w.indexOf(h, 1), false, true)
		if err != nil {
			t.Fatal(err)
		}
		was, err := w.store.Blob(ctx, w.placeOf(h, 1, list[0]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.srv.EraseBlobs(ctx, w.customer.ID, list, "request", ""); err != nil {
			t.Fatal(err)
		}
		attack(t, dsn, `DELETE FROM blob WHERE erased > 0`)
		if faults := w.sound(); !strings.Contains(faults, "missing") {
			t.Errorf("a blob that is gone is not reported:\n%s", faults)
		}
		err = w.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.AddBlobs(ctx, []store.Blob{was})
		})
		if err != nil {
			t.Fatal(err)
		}
		if faults := w.sound(); !strings.Contains(faults, "erase --replay") {
			t.Errorf("a blob that came back is not reported:\n%s", faults)
		}
		if n, err := w.srv.ReplayErasures(ctx); n != 1 || err != nil {
			t.Fatalf("%d replayed, %v", n, err)
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("after the replay:\n%s", faults)
		}
		// Gone without a word is a fault.
		attack(t, dsn, `UPDATE blob SET data = NULL, erased = 1 WHERE data IS NOT NULL`)
		if faults := w.sound(); !strings.Contains(faults, "no entry says that it was erased") {
			t.Errorf("blobs that were erased without an entry are not reported:\n%s", faults)
		}
	})
}

// What is past its term is erased by itself, a batch at a time, and nothing else;
// no verdict changes.
func TestRetention(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seals(20)...)
		w.now = w.now.AddDate(0, 0, 60)
		h.pushes(h.seals(20)...)
		if err := w.srv.Judge().Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		before := w.board(w.customer.ID)
		w.now = w.now.AddDate(0, 0, 40) // 100 days after the first records, 40 after the others
		for i, want := range []int{20, 0} {
			if n, err := w.srv.Retain(ctx); err != nil || n != want {
				t.Fatalf("run %d: %d erased, want %d (%v)", i, n, want, err)
			}
		}
		for seq, gone := range map[int64]bool{1: true, 20: true, 21: false, 40: false} {
			list, err := w.srv.BlobsOf(ctx, w.customer.ID, w.indexOf(h, seq), true, true)
			if err != nil {
				t.Fatal(err)
			}
			facts, err1 := w.store.Blob(ctx, w.placeOf(h, seq, list[0]))
			detail, err2 := w.store.Blob(ctx, w.placeOf(h, seq, list[1]))
			if err1 != nil || err2 != nil || facts.Data == nil || (detail.Data == nil) != gone {
				t.Errorf("record %d: facts %v, detail %v (%v, %v)", seq, facts.Erased, detail.Erased, err1, err2)
			}
		}
		w.now = w.now.AddDate(2, 0, 0)
		if n, err := w.srv.Retain(ctx); err != nil || n != 20+40 {
			t.Errorf("%d erased, want the other details and all facts (%v)", n, err)
		}
		if after := w.board(w.customer.ID); after != before {
			t.Errorf("the board changed:\n%s\nwas:\n%s", after, before)
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("afterwards:\n%s", faults)
		}
	})
}

// A customer leaves while cases and alerts of it are open: they end with it, and hold
// nothing against the provider that nobody could mend any more.
func TestErasureEndsWhatIsOpen(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		shop := j.customer.ID
		h := j.enrolled(j.customer)
		h.pushes(h.backups(evidence.BackupFailed)) // raises alerts, which nobody can be told of
		id := j.opens(server.CaseRequest{Org: shop, Workflow: "abuse", Service: "wh", Title: "Spam", User: "u_ops"})
		j.settle()
		j.advance(25 * time.Hour)
		j.settle()
		j.wants(j.provider.ID, "WH-P7", "breached case_overdue")
		j.wants(j.provider.ID, "SC-P5", "breached case_overdue")
		if err := j.srv.EraseOrg(ctx, shop, "u_ops"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			j.settle()
			j.wants(j.provider.ID, "WH-P7", "no_occasion no_case")
			j.wants(j.provider.ID, "SC-P5", "no_occasion no_case")
			j.advance(25 * time.Hour)
		}
		c, err := j.store.Case(ctx, id)
		if err != nil || c.Closed.IsZero() || !c.Withdrawn {
			t.Errorf("%+v (%v)", c, err)
		}
		if open, err := j.store.Alerts(ctx, shop, true, 10); err != nil || len(open) > 0 {
			t.Errorf("open alerts %+v (%v)", open, err)
		}
		if got := j.stated(shop); got["case.withdrawn"] != 1 {
			t.Errorf("the customer's log states %v", got)
		}
		j.sound()
		attack(t, j.dsn, `UPDATE case_file SET closed = 0, withdrawn = 0`) // as if it had been erased before that was so
		attack(t, j.dsn, `UPDATE alert SET state = 'firing', resolved = 0`)
		j.advance(25 * time.Hour)
		j.srv.Judge().Arrived(j.provider.ID, []evidence.Kind{duties.KindCases})
		j.settle()
		j.wants(j.provider.ID, "WH-P7", "no_occasion no_case")
		j.wants(j.provider.ID, "SC-P5", "no_occasion no_case")
	})
}
