package tiny

import "testing"

func TestTiny(t *testing.T) {
	if Larger(1, 2) != 2 || Larger(2, 1) != 2 || Larger(2, 2) != 2 {
		t.Error("the larger")
	}
	if Sum(4) != 6 || Sum(40) != 42 {
		t.Error("the sum")
	}
	if Known([]int{-3, 0, -1, 4}) != 3 {
		t.Error("the known")
	}
	if Name("a", "b") != "ab" {
		t.Error("the name")
	}
	if Share(84) != 0.5 {
		t.Error("the share")
	}
}
