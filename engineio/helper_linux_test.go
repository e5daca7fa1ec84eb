package engineio

func disablePoller(s *Server) { s.pollers.once.Do(func() {}) }
