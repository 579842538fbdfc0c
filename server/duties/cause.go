package duties

// Cause says in one word why a stretch of time was not proven, for reports that count
// gaps; pages have words for each.
type Cause string

// The causes of gaps.
const (
	CauseNotInstalled Cause = "not_installed" // no host looks yet, or it has nothing to look with
	CauseAgentOff     Cause = "agent_off"     // the host sent nothing at all
	CauseNetwork      Cause = "network"       // the host looked and could not deliver
	CauseCollector    Cause = "collector"     // the host was in touch, and the look failed or did not see everything
	CauseClock        Cause = "clock"         // the host's clock was set
	CauseCloned       Cause = "cloned"        // two hosts used one key
	CausePeople       Cause = "people"        // nobody confirmed, stated or acted
	CauseBuilding     Cause = "building"      // all is well and only time is missing
	CauseServer       Cause = "server"        // the server was off, or this version cannot judge it
	CauseFacts        Cause = "facts"         // what was seen is not in order, or does not tell
)

// Causes lists all causes.
func Causes() []Cause {
	return []Cause{CauseNotInstalled, CauseAgentOff, CauseNetwork, CauseCollector, CauseClock, CauseCloned, CausePeople, CauseBuilding, CauseServer, CauseFacts}
}

// causes gives messages their cause; any other message speaks of facts.
var causes = map[string]Cause{
	"no_agent": CauseNotInstalled, "never_seen": CauseNotInstalled, "nothing_there": CauseNotInstalled, "backup_no_jobs": CauseNotInstalled,
	"stale": CauseAgentOff, "stale_late": CauseNetwork, "stale_kind": CauseCollector, "stale_clock": CauseClock, "agent_forked": CauseCloned,
	"look_failed": CauseCollector, "facts_missing": CauseNetwork, "facts_unknown": CauseServer, "facts_unreadable": CauseCollector, "gaps": CauseCollector,
	"health_hole": CauseAgentOff, "endpoints_hole": CauseAgentOff, "endpoint_hole": CauseCollector, "endpoints_unasked": CauseNotInstalled, "mail_hole": CauseCollector, "trend_short": CauseAgentOff, "trend_none": CauseCollector,
	"eventlog_hole": CauseCollector, "eventlog_not_whole": CauseCollector,
	"review_never": CausePeople, "review_old": CausePeople, "review_open": CausePeople, "review_failed": CausePeople,
	"standing_not_told": CausePeople, "standing_not_acked": CausePeople, "standing_told_late": CausePeople, "standing_acked_late": CausePeople,
	"attestation_never": CausePeople, "attestation_lapsed": CausePeople, "attestation_bad": CausePeople,
	"need_never": CausePeople, "need_lapsed": CausePeople, "need_none": CausePeople, "tested_old": CausePeople, "tested_unsigned": CausePeople,
	"nobody_hears": CausePeople, "case_overdue": CausePeople, "case_late": CausePeople, "case_missed": CausePeople, "found_unplaced": CausePeople, "found_withdrawn": CausePeople, "problem_untold": CausePeople, "problem_told_late": CausePeople,
	"retention_building": CauseBuilding, "way_of_proof_missing": CauseServer, "server_off": CauseServer,
}

// argCause is the argument of messages that rest on what kept something else from being
// judged: the cause of that.
const argCause = "cause"

// Cause is why a finding is no proof; empty where it is one, or where nothing applies.
func (f Finding) Cause() Cause {
	if f.Verdict != Unproven && f.Verdict != Breached {
		return ""
	}
	if c := f.Why.Args[argCause]; c != "" {
		return Cause(c)
	}
	if c, ok := causes[f.Why.Key]; ok {
		return c
	}
	return CauseFacts
}
