package directory

import (
	"hash/fnv"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Every router wants to know the load of every worker, and whether it still beats. If each read all
// records for that, a thousand routers of a thousand workers would send two million commands a
// second. So each beat also leaves a sign in one hash, which a look reads with one command. A look
// reads a record itself if the signs don't say enough about it: the first time, when it has
// changed, and when it may have expired. It reads many records with one command, unless it has to
// know when they expire. A record without a sign, of an older version, is read by each look.

// sign is what a beat says of a record in the hash of beats.
type sign struct {
	digest uint32 // of the record without its load
	beat   uint64 // grows with each beat
	load   int
}

// maxSign limits the bytes of a sign.
const maxSign = 64

func (s sign) String() string {
	return strconv.FormatUint(uint64(s.digest), 36) + " " + strconv.FormatUint(s.beat, 36) + " " + strconv.Itoa(s.load)
}

func parseSign(text string) (s sign, ok bool) {
	if len(text) > maxSign {
		return s, false
	}
	digest, rest, _ := strings.Cut(text, " ")
	beat, load, _ := strings.Cut(rest, " ")
	d, err1 := strconv.ParseUint(digest, 36, 32)
	b, err2 := strconv.ParseUint(beat, 36, 64)
	n, err3 := strconv.Atoi(load)
	return sign{uint32(d), b, n}, err1 == nil && err2 == nil && err3 == nil
}

func digest(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum32()
}

// memory is what a directory knows of the records without reading them again. Only the goroutine
// that follows the records uses it.
type memory struct {
	begun   time.Time             // when the last look that succeeded began
	records map[string]remembered // by field of the hash
}

// remembered is a record as it was last read.
type remembered struct {
	raw     string
	expires time.Time // at the earliest
	sign    sign
}

// recall completes s from memory, if that and the present sign of its record say enough. A beat
// that the last look didn't see was later than its beginning.
func (m *memory) recall(s *seen, field string, now sign, at time.Time) bool {
	r, ok := m.records[field]
	if !ok || s.unlisted || now.digest != r.sign.digest || now.beat < r.sign.beat {
		return false
	}
	beaten := now.beat > r.sign.beat
	if beaten {
		r.sign, r.expires = now, m.begun.Add(recordTTL)
	}
	if !at.Before(r.expires) {
		return false
	}
	m.records[field] = r
	s.raw, s.beaten, s.load, s.ttl = r.raw, beaten, r.sign.load, r.expires.Sub(at)
	return true
}

// saw reports whether the record was read when its sign was that one.
func (m *memory) saw(field string, now sign) bool {
	r, ok := m.records[field]
	return ok && r.sign == now
}

// note remembers a record that was read, if it has a sign.
func (m *memory) note(s *seen, field string, now sign, signed bool, at time.Time) {
	if signed && s.raw != "" {
		if m.records == nil {
			m.records = make(map[string]remembered)
		}
		m.records[field] = remembered{raw: s.raw, expires: at.Add(s.ttl), sign: now}
	} else {
		delete(m.records, field)
	}
}

// keep forgets the records of all but n members.
func (m *memory) keep(members iter.Seq2[recordKey, *seen], n int) {
	if len(m.records) <= n {
		return
	}
	kept := make(map[string]remembered, n)
	for key := range members {
		if r, ok := m.records[key.field]; ok {
			kept[key.field] = r
		}
	}
	m.records = kept
}
