// Package tiny is small enough to know what becomes of each fault.
package tiny

const most = 6 * 7

// Larger is the larger of two numbers: ">=" gives the same.
func Larger(x, y int) int {
	if x > y {
		return x
	}
	return y
}

// Sum adds the numbers below n, up to most: with "--" it never ends.
func Sum(n int) int {
	sum := 0
	for i := 0; i < n; i++ {
		sum += i
	}
	return min(sum, most)
}

// Known adds those that are known.
func Known(list []int) int {
	sum := 0
	for _, x := range list {
		if x < 0 && x != -1 {
			continue
		}
		sum += x
	}
	return sum
}

// Name joins two names: texts know no minus.
func Name(first, last string) string { return first + last }

// Share is a share of the hours of a week: its types allow no choice.
func Share(hours int) float64 { return float64(hours) / (7 * 24) }

// Unused is called by no test.
func Unused(x int) bool { return x == 1 }
