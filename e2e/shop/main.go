// Shop is an app with metrics, a job and a hook of its own, which TestProcessBelongsToTheApp runs.
package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

func main() { worker.Main(shop) }

func shop(ctx context.Context, io *socketio.Server) error {
	me := worker.InfoFrom(ctx)
	jobs := prometheus.NewGauge(prometheus.GaugeOpts{Name: "shop_jobs", Help: "Running jobs."})
	shared := prometheus.NewGauge(prometheus.GaugeOpts{Name: "shop_slot", Help: "The worker's slot."})
	shared.Set(float64(me.Slot))
	if err := me.Metrics.Register(jobs); err != nil {
		return err
	}
	if err := prometheus.Register(shared); err != nil {
		return err
	}
	io.Go(func(ctx context.Context) {
		jobs.Inc()
		<-ctx.Done()
	})
	io.OnShutdown(func(ctx context.Context) error {
		me := worker.InfoFrom(ctx)
		slog.Info("shop closes", "worker", me.ID)
		return me.Redis.Client().Incr(ctx, "closed shops").Err()
	})
	return nil
}
