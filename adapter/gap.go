package adapter

// gapWatch finds out how many entries of a stream were trimmed before they were read. Redis tells how many entries it ever
// added up to its last; once that one is read, as many should have been.
//
// A read that fell behind so far that entries were trimmed gives as many entries as it may, or as the stream keeps: only
// then is Redis asked.
type gapWatch struct {
	known bool
	count uint64 // entries up to here, lost ones included

	asked bool // last and added are an answer whose last entry has not been read yet
	last  offset
	added uint64
}

// ask notes what Redis says, and returns what was lost, if that is clear already.
func (g *gapWatch) ask(at offset, info streamInfo) (lost uint64) {
	if !info.counted || !g.known {
		g.known = false // not the Redis it was
		return 0
	}
	g.asked, g.last, g.added = true, info.last, info.added
	if info.last == at {
		return g.settle()
	}
	return 0
}

// before is told of an entry before it is counted: that last itself may be among the lost.
func (g *gapWatch) before(at offset) (lost uint64) {
	if g.asked && at.after(g.last) {
		return g.settle()
	}
	return 0
}

// read counts an entry.
func (g *gapWatch) read(at offset) (lost uint64) {
	g.count++
	if g.asked && at == g.last {
		return g.settle()
	}
	return 0
}

func (g *gapWatch) settle() (lost uint64) {
	g.asked = false
	if g.added > g.count {
		lost = g.added - g.count
	}
	g.count = g.added
	return lost
}
