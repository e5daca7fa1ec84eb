package handoff

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Register shows what Lost counts as sidereal_handoff_lost_total. Listeners of one registry are
// counted together, also those that have been closed: a process may serve many workers, which come
// and go.
func (l *Listener) Register(reg prometheus.Registerer) error {
	total := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sidereal_handoff_lost_total",
		Help: "Connections that this host's router passed and that could not be used: no descriptors left, mostly.",
	})
	err := reg.Register(total)
	var before prometheus.AlreadyRegisteredError
	if errors.As(err, &before) {
		if shared, ok := before.ExistingCollector.(prometheus.Counter); ok {
			total, err = shared, nil
		}
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	total.Add(float64(l.lost))
	l.total = total
	return nil
}

// lose counts a connection that could not be used.
func (l *Listener) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
	if l.total != nil {
		l.total.Inc()
	}
}
