package agent_test

const (
	childEnv       = "ATTESTO_TEST_AGENT"
	childServerEnv = "ATTESTO_TEST_SERVER"
)

func child(string, string) int { return 1 }
