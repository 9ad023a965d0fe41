package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// The stream, and the subjects of the cluster.
const (
	streamName = "SSHCHAT"
	logSubject = "sshchat.log"  // what is published here is stored
	tail       = "sshchat.tail" // what was stored is published here
)

const (
	answerTime = 2 * time.Second // how long a server may take to answer
	getAtOnce  = 512             // messages
)

var (
	// errTaken is wrapped if the place in the stream is another message's.
	errTaken = errors.New("the place in the stream is taken")
	// errNoStream says that there is none.
	errNoStream = errors.New("the servers have no stream " + streamName)
)

// stream is the log of the cluster, in JetStream.
type stream struct {
	nc     *nats.Conn
	silent atomic.Int64  // until when the stream's leader is not asked for messages, as it has not answered; in Unix nanoseconds
	blind  atomic.Bool   // messages are published without the number they follow on: the control of tests
	behind atomic.Uint64 // messages that the nearest server has, in tests; 0: all
}

// stored is a message of the stream.
type stored struct {
	seq     uint64
	at      time.Time // by the server's clock
	payload []byte
}

// apiError is an error of JetStream.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("JetStream: %s (%d)", e.Description, e.ErrCode)
}

// JetStream's numbers of errors (https://github.com/nats-io/nats-server/blob/main/server/errors.json).
const (
	wrongSequence         = 10071
	wrongSequenceReplica  = 10164
	streamNotFound        = 10059
	insufficientResources = 10023
	noPeers               = 10005
	unavailable           = 10008
)

// ask sends a request to the JetStream API.
func (s *stream) ask(ctx context.Context, what string, request, answer any) error {
	body := []byte{}
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, "$JS.API."+what, body)
	if err != nil {
		return fmt.Errorf("JetStream does not answer: %w", err)
	}
	var failed struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	if failed.Error != nil {
		if failed.Error.ErrCode == streamNotFound {
			return errNoStream
		}
		return failed.Error
	}
	return json.Unmarshal(m.Data, answer)
}

// streamConfig is how the stream is to be.
type streamConfig struct {
	Name         string        `json:"name"`
	Subjects     []string      `json:"subjects"`
	Storage      string        `json:"storage"`
	Replicas     int           `json:"num_replicas"`
	Retention    string        `json:"retention"`
	Discard      string        `json:"discard"`
	MaxConsumers int           `json:"max_consumers"`
	MaxMsgs      int64         `json:"max_msgs"`
	MaxBytes     int64         `json:"max_bytes"`
	MaxAge       time.Duration `json:"max_age"` // nanoseconds
	MaxMsgSize   int32         `json:"max_msg_size"`
	Duplicates   time.Duration `json:"duplicate_window"`
	AllowDirect  bool          `json:"allow_direct"`
	DenyDelete   bool          `json:"deny_delete"`
	DenyPurge    bool          `json:"deny_purge"`
	Republish    *republish    `json:"republish,omitempty"`

	Metadata map[string]string `json:"metadata,omitempty"`
}

// genesisKey is where the stream says which chat's it is. Nobody has to believe it: messages open with that id alone.
const genesisKey = "sshchat.genesis"

type republish struct {
	Source      string `json:"src"`
	Destination string `json:"dest"`
}

// info is what JetStream says of the stream.
type info struct {
	Config streamConfig `json:"config"`
	State  struct {
		First uint64 `json:"first_seq"`
		Last  uint64 `json:"last_seq"`
	} `json:"state"`
	Cluster *struct {
		Leader   string `json:"leader"`
		Replicas []struct {
			Name    string `json:"name"`
			Current bool   `json:"current"`
			Offline bool   `json:"offline"`
		} `json:"replicas"`
	} `json:"cluster"`
}

// info asks the stream's leader. Errors: errNoStream.
func (s *stream) info(ctx context.Context) (i info, err error) {
	err = s.ask(ctx, "STREAM.INFO."+streamName, nil, &i)
	return i, err
}

// create makes the stream of the chat with that id.
func (s *stream) create(ctx context.Context, genesis string, replicas int, keep time.Duration) error {
	c := streamConfig{
		Name: streamName, Subjects: []string{logSubject}, Storage: "file", Replicas: replicas, Retention: "limits", Discard: "old",
		MaxConsumers: -1, MaxMsgs: -1, MaxBytes: -1, MaxAge: keep, MaxMsgSize: maxPayload,
		Duplicates: min(keep, 2*time.Minute), AllowDirect: true, DenyDelete: true, DenyPurge: true, Republish: &republish{logSubject, tail},
		Metadata: map[string]string{genesisKey: genesis},
	}
	var made info
	return s.ask(ctx, "STREAM.CREATE."+streamName, c, &made)
}

// publish stores a message in the place after last, and returns when a quorum has it. Errors: errTaken; else it is not known
// whether it is stored, and the same bytes may be published once more.
func (s *stream) publish(ctx context.Context, last uint64, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	m := nats.NewMsg(logSubject)
	if !s.blind.Load() {
		m.Header["Nats-Expected-Last-Sequence"] = []string{strconv.FormatUint(last, 10)}
	}
	m.Header["Nats-Expected-Stream"] = []string{streamName}
	m.Data = payload
	r, err := s.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	var ack struct {
		Seq   uint64    `json:"seq"`
		Error *apiError `json:"error"`
	}
	switch err := json.Unmarshal(r.Data, &ack); {
	case err != nil:
		return fmt.Errorf("publish: %w", err)
	case ack.Error != nil && (ack.Error.ErrCode == wrongSequence || ack.Error.ErrCode == wrongSequenceReplica):
		return errTaken
	case ack.Error != nil:
		return fmt.Errorf("publish: %w", ack.Error)
	case ack.Seq != last+1:
		return fmt.Errorf("the stream has stored message %d where %d was expected", ack.Seq, last+1)
	}
	return nil
}

// statusError is what a server answers that cannot return a message.
type statusError struct{ status, description string }

func (s *statusError) Error() string { return "read the stream: " + s.status + " " + s.description }

// leaderAgain is how long the stream's leader is not asked for messages after it has not answered: it is being elected, or the servers'
// permissions are of a version that did not ask it.
const leaderAgain = 10 * time.Second

// get hands messages from seq on to take, in order, as many as a server returns at once, and reports how many those were. It stops at take's
// first error. If the nearest server has none, the stream's leader is asked for the first: a server that has started again, or has a
// damaged disk, may lack what is stored for half a minute and longer, while it takes part in all else.
func (s *stream) get(ctx context.Context, seq uint64, atOnce int, take func(stored) error) (n int, err error) {
	n, err = s.getNear(ctx, seq, atOnce, take)
	if refused := (*statusError)(nil); n > 0 || err != nil && !errors.As(err, &refused) {
		return n, err
	}
	one, has := s.getOfLeader(ctx, seq)
	if !has {
		return 0, err
	}
	if err := take(one); err != nil {
		return 0, err
	}
	return 1, nil
}

// getOfLeader asks the stream's leader for a message. It is not had if there is none, or if the leader does not answer.
func (s *stream) getOfLeader(ctx context.Context, seq uint64) (one stored, had bool) {
	if time.Now().UnixNano() < s.silent.Load() {
		return stored{}, false
	}
	var answer struct {
		Message struct {
			Seq  uint64    `json:"seq"`
			Time time.Time `json:"time"`
			Data []byte    `json:"data"`
		} `json:"message"`
	}
	err := s.ask(ctx, "STREAM.MSG.GET."+streamName, map[string]uint64{"seq": seq}, &answer)
	if failed := (*apiError)(nil); err != nil && !errors.As(err, &failed) && ctx.Err() == nil {
		s.silent.Store(time.Now().Add(leaderAgain).UnixNano())
	}
	m := answer.Message
	return stored{m.Seq, m.Time, m.Data}, err == nil && m.Seq == seq
}

// getNear is get from the nearest server that stores the stream. One that is behind has fewer.
func (s *stream) getNear(ctx context.Context, seq uint64, atOnce int, take func(stored) error) (n int, err error) {
	inbox := s.nc.NewInbox()
	answers, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer answers.Unsubscribe()
	request := fmt.Appendf(nil, `{"seq":%d,"batch":%d,"max_bytes":%d}`, seq, atOnce, 8<<20)
	if err := s.nc.PublishRequest("$JS.API.DIRECT.GET."+streamName, inbox, request); err != nil {
		return 0, err
	}
	for {
		wait, cancel := context.WithTimeout(ctx, answerTime) // the next: the connection may have been lost, and the rest with it
		m, err := answers.NextMsgWithContext(wait)
		cancel()
		if err != nil {
			return n, fmt.Errorf("read the stream: %w", err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404":
			return n, nil
		default:
			return n, &statusError{status, m.Header.Get("Description")}
		}
		one, err := storedOf(m)
		if last := s.behind.Load(); err == nil && last > 0 && one.seq > last {
			return n, nil
		}
		if err == nil {
			err = take(one)
		}
		if err != nil {
			return n, err
		}
		n++
	}
}

// storedOf is a message as it was stored.
func storedOf(m *nats.Msg) (stored, error) {
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return stored{}, errors.New("a message of the stream has no number")
	}
	at, _ := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp")) // for the age alone
	return stored{seq, at, m.Data}, nil
}

// holds reports whether the message in that place is this one. It is not if there are later ones, and none in that place.
func (s *stream) holds(ctx context.Context, seq uint64, payload []byte) (same bool, err error) {
	found := false
	_, err = s.get(ctx, seq, 1, func(m stored) error {
		found, same = true, m.seq == seq && bytes.Equal(m.payload, payload)
		return nil
	})
	if err == nil && !found {
		err = errors.New("the server that was asked does not have the message yet")
	}
	return same, err
}
