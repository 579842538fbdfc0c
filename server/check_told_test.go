package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/alert"
)

// Who was told of an alert, and who took it on, is what acting promptly is judged by: it
// must be as the log has it, and no review may be missing.
func TestCheckFindsWhoWasNotTold(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		for range 2 {
			h := j.enrolled(j.customer)
			j.serves(h, "sc")
			h.pushes(h.backups("failed"))
		}
		j.settle()
		j.advance(time.Hour)
		list, err := j.store.Alerts(ctx, j.customer.ID, true, 10)
		if err != nil || len(list) < 2 {
			t.Fatalf("alerts %+v (%v)", list, err)
		}
		if err := j.srv.AckAlert(ctx, j.customer.ID, list[0].ID, "u_1"); err != nil {
			t.Fatal(err)
		}
		if err := j.srv.ConfirmReview(ctx, j.customer.ID, "SC-C5", "u_1"); err != nil {
			t.Fatal(err)
		}
		j.settle()
		j.sound()
		id := list[0].ID
		for _, tt := range []struct{ change, back, want string }{
			{`UPDATE alert SET acked = acked - 60000000 WHERE acked > 0`, `UPDATE alert SET acked = acked + 60000000 WHERE acked > 0`, "and no entry of the log says so"},
			{`UPDATE alert SET acked_by = 'u_2' WHERE acked > 0`, `UPDATE alert SET acked_by = 'u_1' WHERE acked > 0`, "by u_2, and no entry"},
			{`UPDATE alert SET acked = 5000000, acked_by = 'u_1' WHERE acked = 0`, `UPDATE alert SET acked = 0, acked_by = '' WHERE acked = 5000000`, "and no entry of the log says so"},
			{`UPDATE alert SET acked = -acked WHERE acked > 0`, `UPDATE alert SET acked = -acked WHERE acked < 0`, "alert " + id + ": this was at"},
			{`UPDATE outbox SET done = done - 60000000`, `UPDATE outbox SET done = done + 60000000`, "and no entry of the log says so"},
			{`UPDATE outbox SET state = 'refused'`, `UPDATE outbox SET state = 'delivered'`, "and its row does not have it"},
			{`UPDATE outbox SET alert_id = alert_id || 'x'`, `UPDATE outbox SET alert_id = substr(alert_id, 1, length(alert_id) - 1)`, "and no entry of the log says so"},
			{`UPDATE delivery_attempt SET log_id = '', idx = -1; UPDATE outbox SET done = done - 1000000`, `UPDATE outbox SET done = done + 1000000`, "and no entry of the log says so"},
			{`DELETE FROM review`, ``, "the review of SC-C5 is missing"},
		} {
			for _, change := range strings.Split(tt.change, "; ") {
				attack(t, j.dsn, change)
			}
			if got := strings.Join(j.check(t), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("%s: %q, want %q", tt.change, got, tt.want)
			}
			if tt.back != "" {
				attack(t, j.dsn, tt.back)
				if !strings.Contains(tt.change, "delivery_attempt") {
					j.sound()
				}
			}
		}
	})
}
