package streams

// trimCounter finds out how many entries of a stream were trimmed before they were read. Redis
// knows how many entries it has ever added up to its last one. Once that one has been read, as many
// entries should have been read.
//
// A read that fell so far behind that entries were trimmed returns as many entries as it may, or as
// the stream keeps. So the reader asks Redis only then.
type trimCounter struct {
	known bool
	count uint64 // entries up to here, including lost ones

	asked bool // last and added are Redis's answer, whose last entry hasn't been read yet
	last  offset
	added uint64
}

// ask notes Redis's answer, and returns the number of lost entries if that is known already.
func (g *trimCounter) ask(at offset, info streamInfo) (lost uint64) {
	if !info.counted || !g.known {
		g.known = false // another Redis than before
		return 0
	}
	g.asked, g.last, g.added = true, info.last, info.added
	if info.last == at {
		return g.settle()
	}
	return 0
}

// before must be called before an entry is counted, because the last entry of Redis's answer may
// itself be lost.
func (g *trimCounter) before(at offset) (lost uint64) {
	if g.asked && at.after(g.last) {
		return g.settle()
	}
	return 0
}

// read counts an entry.
func (g *trimCounter) read(at offset) (lost uint64) {
	g.count++
	if g.asked && at == g.last {
		return g.settle()
	}
	return 0
}

func (g *trimCounter) settle() (lost uint64) {
	g.asked = false
	if g.added > g.count {
		lost = g.added - g.count
	}
	g.count = g.added
	return lost
}
