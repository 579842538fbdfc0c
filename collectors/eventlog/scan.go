package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	bufferSize = 256 << 10
	maxLine    = 64 << 10           // what of a longer line is looked at
	maxPending = 1 << 20            // an unfinished line over this is not waited for
	tenMinutes = len("Nov 23 11:0") // stamps are read at least that often, to follow the clock
)

// scan reads lines from in, which begins at offset of the log, and returns the
// offset after the last one. A last line without its end is left for the next
// look, unless the log is final: nothing will be added to it.
func (f *file) scan(ctx context.Context, in io.Reader, offset int64, final bool) int64 {
	if f.buf == nil {
		f.buf = make([]byte, bufferSize)
	}
	f.dropped = 0
	held := 0 // bytes of a line that is not over
	for {
		if ctx.Err() != nil {
			return offset
		}
		if f.enough() {
			f.cut = true
			return offset
		}
		n, err := in.Read(f.buf[held:])
		f.left -= int64(n)
		data := f.buf[:held+n]
		done := bytes.LastIndexByte(data, '\n') + 1
		offset += f.block(data[:done])
		data = data[done:]
		if f.mid || len(data) >= maxLine {
			if !f.mid {
				f.begun, f.mid = append(f.begun[:0], data[:maxLine]...), true
			}
			f.dropped += int64(len(data))
			data = nil
		}
		held = copy(f.buf, data)
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			f.unwhole("reading: " + err.Error())
		}
		return offset + f.rest(f.buf[:held], final)
	}
}

// block takes whole lines, of which the first may be the end of a longer one.
func (f *file) block(lines []byte) (size int64) {
	if f.engine != nil {
		f.found = f.engine.mayMatch(lines, f.found[:0])
	}
	next := f.found
	for from := 0; from < len(lines); {
		end := from + bytes.IndexByte(lines[from:], '\n')
		f.may = len(next) > 0 && next[0] < end || f.mid
		for len(next) > 0 && next[0] < end {
			next = next[1:]
		}
		size += f.whole(lines[from:end], 1)
		from = end + 1
	}
	return size
}

// whole takes the end of a line and says how many bytes the line has, those of its
// end mark included.
func (f *file) whole(end []byte, mark int64) int64 {
	size := f.dropped + int64(len(end)) + mark
	switch {
	case !f.mid && len(end) > maxLine:
		f.long++
		f.line(end[:maxLine])
	case !f.mid:
		f.line(end)
	case len(f.begun) > 0:
		f.long++
		f.line(f.begun)
	}
	f.read.Lines++
	f.read.Bytes += size
	f.mid, f.begun, f.dropped = false, f.begun[:0], 0
	return size
}

// rest decides what becomes of a last line without its end, and says how many
// bytes of it were dealt with.
func (f *file) rest(rest []byte, final bool) int64 {
	given := f.mid && (len(f.begun) == 0 || f.dropped > maxPending) // its beginning was counted, or must be now
	switch {
	case final && (f.mid || len(rest) > 0):
		f.may = true
		return f.whole(rest, 0)
	case given:
		size := f.dropped
		if len(f.begun) > 0 {
			f.may = true
			f.whole(nil, 0)
		}
		f.mid = true
		return size
	}
	f.mid = false
	return 0
}

// line looks at one line without its end. What no rule can match (may) is not taken
// apart, but for its stamp now and then.
func (f *file) line(line []byte) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return
	}
	f.number++
	plain := header(line)
	h := locate(plain)
	switch stamp := plain[h.from:h.to]; {
	case h.form == formNone:
		f.foreign++
	case f.may || f.following != nil && f.following.Wants(line) || !bytes.HasPrefix(stamp, f.decade):
		f.decade = append(f.decade[:0], stamp[:min(len(stamp), tenMinutes)]...)
		f.event(line)
	default:
		f.latest, f.latestForm = append(f.latest[:0], stamp...), h.form
	}
}

func (f *file) event(line []byte) {
	e, err := f.lines.parse(line)
	if err != nil {
		f.foreign++
		return
	}
	f.latest = f.latest[:0]
	f.saw(e.Time)
	if n, ok := lastRepeated(e.Message); ok && e.Program == "" {
		if f.number != f.matched+1 {
			return
		}
		e.Program, e.Message, e.Repeat = f.again.Program, f.again.Message, n
		f.matched = f.number
		f.take(e)
		return
	}
	for _, p := range f.skip {
		if p.from(e.Program) {
			return
		}
	}
	if f.take(e) {
		f.matched = f.number
		f.again.Program, f.again.Message = e.Program, append(f.again.Message[:0], e.Message...)
	}
}

// lastTime reads the stamp of the last line, which no rule needed.
func (f *file) lastTime() {
	if len(f.latest) == 0 {
		return
	}
	if at, ok := f.lines.stamps.read(f.latestForm, f.latest); ok {
		f.saw(at)
	}
	f.latest = f.latest[:0]
}

// verdict states what could not be read of a file.
func (f *file) verdict() {
	f.lastTime()
	if f.cut {
		f.cutShort()
	}
	if f.long > 0 {
		f.unwhole(fmt.Sprintf("%d lines were longer than %d bytes; only their beginning was looked at", f.long, maxLine))
	}
	if f.foreign > 0 && f.foreign*2 > f.read.Lines {
		f.unwhole(fmt.Sprintf("%d of %d lines have no time that is known at their start", f.foreign, f.read.Lines))
	}
	if f.late.After(f.now.Add(24 * time.Hour)) {
		f.unwhole("its last line is of " + f.late.UTC().Format(time.RFC3339) + ", which is to come; check the clock")
	}
	f.done()
}
