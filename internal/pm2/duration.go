package pm2

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Duration is a time that PM2 writes in milliseconds, and so does its JSON.
type Duration time.Duration

func milliseconds(n int64) Duration { return Duration(time.Duration(n) * time.Millisecond) }

// maxMillis is the longest duration that a file may ask for: 24.8 days, the longest timer of Node.
const maxMillis = math.MaxInt32

// D is the duration as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Millis is the duration as PM2 writes it.
func (d Duration) Millis() int64 { return time.Duration(d).Milliseconds() }

// MarshalJSON writes milliseconds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.Millis()) }

// UnmarshalJSON reads milliseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if n < -maxMillis || n > maxMillis {
		return fmt.Errorf("pm2: %d ms is out of range", n)
	}
	*d = milliseconds(n)
	return nil
}
