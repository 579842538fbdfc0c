// Command mutate puts small faults into a Go package, one at a time, and says which of
// them no test finds:
//
//	mutate [-only PATTERN] [-workers N] [-seconds N] FOLDER
//
// All faults that can be chosen while the program runs are compiled into one test binary,
// so that a fault costs a run of the tests and no build. The others (in constants, or where
// the types do not allow it) are built one by one; what does not compile is no fault.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
)

func main() {
	only := flag.String("only", ".", "faults to try: a pattern on file.go:line:column")
	workers := flag.Int("workers", runtime.NumCPU(), "how many to try at a time")
	seconds := flag.Int("seconds", 40, "processor time after which a run of the tests is endless")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *only, *workers, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(dir, only string, workers, seconds int) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	p, err := read(dir)
	if err != nil {
		return err
	}
	b := bench{dir: dir, work: work, seconds: seconds, pkg: p}
	if err := b.build(); err != nil {
		return err
	}
	if err := b.baseline(); err != nil {
		return err
	}
	faults := slices.DeleteFunc(slices.Clone(p.faults), func(f *fault) bool { return !pattern.MatchString(f.where()) })
	fmt.Printf("%d faults, %d of them in one binary\n", len(faults), len(faults)-len(slices.DeleteFunc(slices.Clone(faults), func(f *fault) bool { return !f.alone })))
	queue := make(chan *fault)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for f := range queue {
				f.outcome = b.try(f)
				fmt.Printf("%-12s %-24s %-10s %s\n", f.outcome, f.where(), f.from+" → "+f.to, p.line(f))
			}
		})
	}
	for _, f := range faults {
		queue <- f
	}
	close(queue)
	all.Wait()
	table(faults)
	return nil
}

// table counts outcomes per file.
func table(faults []*fault) {
	n := map[string]map[string]int{}
	for _, f := range faults {
		for _, row := range []string{f.file, "~ all"} {
			if n[row] == nil {
				n[row] = map[string]int{}
			}
			n[row][f.outcome]++
			n[row]["faults"]++
		}
	}
	columns := []string{"faults", killed, endless, lived, uncovered, unbuilt}
	var rows []string
	for row := range n {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	fmt.Printf("\n%-18s", "file")
	for _, c := range columns {
		fmt.Printf(" %11s", c)
	}
	for _, row := range rows {
		fmt.Printf("\n%-18s", row)
		for _, c := range columns {
			fmt.Printf(" %11d", n[row][c])
		}
	}
	fmt.Println()
}
