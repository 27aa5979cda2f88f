// Package drawbar serves an http.Handler to a Drawbar front: a program that calls drawbar.Serve(handler) is a worker.
// It opens no port. Each slot is a connection that is dialled, upgraded, and accepted by net/http from a listener here.
package drawbar

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const leastWait, mostWait = 100 * time.Millisecond, 10 * time.Second // for a front that cannot be reached
var (
	from      = flag.String("from", os.Getenv("DRAWBAR_FROM"), "`URL` of the front: http:, https: or unix:")
	app       = flag.String("app", os.Getenv("DRAWBAR_APP"), "`NAME` of the application")
	label     = flag.String("label", os.Getenv("DRAWBAR_LABEL"), "`TEXT` that tells versions apart")
	tokenFile = flag.String("token-file", os.Getenv("DRAWBAR_TOKEN_FILE"), "`FILE` with the token of the front's API")
	slots     = flag.Int("slots", 4, "how many requests at once")
	dialer    = net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second} // or one that vanished is waited for
)

// Serve serves handler until SIGTERM or SIGINT, and then until the requests that run are answered.
func Serve(handler http.Handler) error {
	fmt.Sscan(os.Getenv("DRAWBAR_SLOTS"), slots) // if it says a number
	if flag.Parse(); *from == "" || *app == "" {
		log.Fatal("worker: it needs --from and --app; --help says more")
	}
	leave, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	log.Printf("worker: %d slots for %s at %s", *slots, *app, *from)
	attached := make(listener)
	for i := 0; i < *slots; i++ {
		go attached.keep(leave)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer answerPanic(w, r)
		handler.ServeHTTP(w, r)
	}), ConnState: func(conn net.Conn, state http.ConnState) {
		conn.(*slot).useful.Store(state != http.StateNew)
		if state == http.StateHijacked {
			conn.(*slot).free()
		}
	}}
	go server.Serve(attached)
	<-leave.Done()
	cancel() // a second signal ends the program
	defer log.Print("worker: drained")
	return server.Shutdown(context.Background())
}

// answerPanic answers 500, where net/http only hangs up. A response that had begun is cut off.
func answerPanic(w http.ResponseWriter, r *http.Request) {
	if reason := recover(); reason != nil {
		log.Printf("worker: %s %s failed: %v\n%s", r.Method, r.URL, reason, debug.Stack())
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusInternalServerError)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// slot is an attached connection. It is freed when it is closed, or taken over by a handler.
type slot struct {
	net.Conn
	stream io.ReadWriteCloser // what net/http's client made of Conn: with TLS, perhaps
	useful atomic.Bool
	freed  context.Context
	free   context.CancelFunc
}

func (s *slot) Read(into []byte) (int, error)  { return s.stream.Read(into) }
func (s *slot) Write(data []byte) (int, error) { return s.stream.Write(data) }
func (s *slot) Close() error                   { s.free(); return s.stream.Close() }

type listener chan func() (net.Conn, error)  // what the next Accept returns
func ended() (net.Conn, error)               { return nil, net.ErrClosed }
func (l listener) Accept() (net.Conn, error) { return (<-l)() }
func (l listener) Close() error              { go func() { l <- ended }(); return nil }
func (l listener) Addr() net.Addr            { return &net.UnixAddr{Name: *from, Net: "unix"} }

// keep is one slot: it dials again at once when a connection was of use, else with decorrelated jitter.
func (l listener) keep(leave context.Context) {
	for wait := time.Duration(0); ; time.Sleep(wait) {
		wait = leastWait + time.Duration(rand.Int63n(int64(3*(wait+leastWait))))%mostWait
		conn, err := dial()
		if err != nil {
			log.Printf("worker: no connection to %s: %v", *from, err)
			continue
		}
		l <- func() (net.Conn, error) { return conn, nil }
		select {
		case <-conn.freed.Done():
			if conn.useful.Load() {
				wait = 0
			}
		case <-leave.Done():
			if !conn.useful.Load() {
				conn.Close() // Shutdown would wait for its first request
			}
			return
		}
	}
}

func dial() (*slot, error) {
	site, socket, unix := strings.Cut(*from, "unix:")
	if unix {
		site = "http://localhost"
	}
	var conn net.Conn
	connect := func(ctx context.Context, network, address string) (_ net.Conn, err error) {
		if unix {
			network, address = "unix", socket
		}
		conn, err = dialer.DialContext(ctx, network, address)
		return conn, err
	}
	as := url.Values{"app": {*app}, "label": {*label}}
	request, err := http.NewRequest(http.MethodGet, site+"/api/v2/attach?"+as.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"PTTH/1.0"}}
	if token, err := os.ReadFile(*tokenFile); err == nil {
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	} else if *tokenFile != "" {
		return nil, err
	}
	response, err := (&http.Transport{DisableKeepAlives: true, DialContext: connect}).RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if stream, is := response.Body.(io.ReadWriteCloser); is {
		freed, free := context.WithCancel(context.Background())
		return &slot{Conn: conn, stream: stream, freed: freed, free: free}, nil
	}
	said, _ := io.ReadAll(response.Body)
	return nil, fmt.Errorf("it said %s %s", response.Status, said)
}
