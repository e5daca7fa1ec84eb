package pm2

import (
	"maps"
	"slices"
)

// Change returns a known app with the loader's Options applied, for `restart` with flags.
func (l *Loader) Change(a App) (App, error) {
	s := settler{loader: l, vendor: map[string]bool{}, envs: map[string]*object{}}
	a.Env, a.Watch = maps.Clone(a.Env), slices.Clone(a.Watch)
	for i := range allFields {
		f := &allFields[i]
		v, ok := l.Options[f.name]
		if !ok {
			continue
		}
		if err := f.set(&s, &a, option(v)); err != nil {
			return a, s.wrong(&a, f, option(v), err)
		}
	}
	s.paths(&a)
	return a, a.Validate()
}
