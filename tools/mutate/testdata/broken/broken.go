// Package broken fails its test without a fault.
package broken

// Half is half of a number.
func Half(n int) int { return n / 3 }
