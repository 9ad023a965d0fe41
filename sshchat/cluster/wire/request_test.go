package wire

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	cleaned "sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/history"
)

// chatFiles are the files of package chat, parsed.
func chatFiles(t *testing.T) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob("../../chat/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("package chat is not there: %v", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// No intent of package chat is forgotten: each type that has a method decide, and each field of it.
func TestEveryIntentTravels(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, f := range chatFiles(t) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "decide" && fn.Recv != nil {
				if of, ok := fn.Recv.List[0].Type.(*ast.Ident); ok {
					seen[of.Name] = true
				}
			}
		}
	}
	if len(seen) < 40 {
		t.Fatalf("%d intents: this test does not find them", len(seen))
	}
	for name := range seen {
		if intents[name] == nil {
			t.Errorf("%s is not encoded", name)
		}
	}
	if len(intents) != len(seen) {
		t.Errorf("%d intents are encoded, of %d", len(intents), len(seen))
	}
}

// leaders are fields that only the leader sets.
var leaders = map[string]bool{"PinMessage.gone": true}

// fill gives each field of a value something, and fails if nothing encodes it.
func fill(t *testing.T, r *rand.Rand, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *chat.Name:
		*x = name(t, fmt.Sprintf("n%d", r.IntN(1e6)))
		return
	case *chat.RoomName:
		if *x = room(t, fmt.Sprintf("r%d", r.IntN(1e6))); r.IntN(2) == 0 {
			*x = cleaned.Direct(name(t, fmt.Sprintf("n%d", r.IntN(1e6))), name(t, "zoe"))
		}
		return
	case *chat.Text:
		*x = words(t, fmt.Sprintf("words\n %d é 👩‍👩‍👧 ❤️", r.IntN(1e6)))
		return
	case *chat.Opaque:
		*x = chat.NewOpaque(fmt.Sprintf("sealed %d\n", r.IntN(1e6)))
		return
	case *time.Time:
		*x = time.Unix(r.Int64N(4e9), r.Int64N(1e9)).UTC()
		return
	case *netip.Addr:
		*x = netip.MustParseAddr([]string{"192.0.2.7", "2001:db8::7", "fe80::1%eth0", "::ffff:192.0.2.7"}[r.IntN(4)])
		return
	case *netip.Prefix:
		*x = netip.MustParsePrefix([]string{"192.0.2.0/24", "2001:db8::/32"}[r.IntN(2)])
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprintf("s %d \xff", r.IntN(1e6)))
	case reflect.Int, reflect.Int64:
		v.SetInt(r.Int64() - 1<<62)
	case reflect.Uint64:
		v.SetUint(r.Uint64() | 1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, r, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(3), 3))
		for i := range v.Len() {
			fill(t, r, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(3) {
			value := reflect.New(v.Type().Elem()).Elem()
			fill(t, r, value)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprintf("k%d", r.IntN(1e6))), value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Field(i); {
			case f.IsExported():
				fill(t, r, v.Field(i))
			case !leaders[v.Type().Name()+"."+f.Name]:
				t.Errorf("%s.%s does not travel", v.Type(), f.Name)
			}
		}
	default:
		t.Errorf("a %s in an intent: this test does not know it", v.Type())
	}
}

// travelled is the request as another node has it.
func travelled(t *testing.T, r chat.Request) chat.Request {
	t.Helper()
	b, err := EncodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRequestsTravel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for name, of := range intents {
		if name == handEdit {
			continue
		}
		for _, full := range []bool{true, false} {
			in := reflect.New(of).Elem()
			req := chat.Request{ID: chat.RequestID{Origin: r.Uint64(), N: 1 + r.Uint64N(1e9)}, Settled: 1}
			if full {
				fill(t, r, in)
				fill(t, r, reflect.ValueOf(&req.Who).Elem())
				req.Audit = new(chat.AuditEntry)
				fill(t, r, reflect.ValueOf(req.Audit).Elem())
			}
			req.Intent = in.Interface().(chat.Intent)
			if got := travelled(t, req); !reflect.DeepEqual(got, req) {
				t.Errorf("%s:\n%+v\n%+v", name, req, got)
			}
		}
	}
}

// What a text of a message may be is what people's texts and reactions are.
func TestReactionsTravel(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"👍", "❤", "❤️", "1️⃣", "🇩🇪", "👩🏽‍🚀", "👨‍👩‍👧‍👦", "☺️", "🏴‍☠️", "⭐", "✌🏿"} {
		emoji, err := cleaned.ParseEmoji(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		req := chat.Request{ID: chat.RequestID{N: 1}, Settled: 1, Intent: chat.Post{Room: chat.General, Kind: chat.React, Text: emoji, Of: 1}}
		if got := travelled(t, req); !reflect.DeepEqual(got, req) {
			t.Errorf("%s: %+v", s, got)
		}
	}
}

// An edit by hand travels with both of its States.
func TestEditsByHandTravel(t *testing.T) {
	t.Parallel()
	parts := chat.Parts{
		Accounts: []chat.Account{
			{ID: strings.Repeat("a", 32), Name: name(t, "ann"), Role: chat.Admin, Created: noon.Truncate(time.Second)},
			{ID: strings.Repeat("b", 32), Name: name(t, "ben"), Role: chat.User, Created: noon.Truncate(time.Second)},
		},
		Rooms: []chat.RoomState{{Name: chat.General, Members: []chat.Member{{Name: name(t, "ann"), Since: 1}, {Name: name(t, "ben"), Since: 5}}}},
		Bans:  []chat.Sanction{{User: name(t, "ben"), At: noon.Truncate(time.Second)}, {User: name(t, "ben"), At: noon.Truncate(time.Second).Add(time.Second)}},
		Pins:  []chat.Pin{{Room: chat.General, Seq: 7, By: name(t, "ann"), At: noon.Truncate(time.Second)}},
	}
	base := chat.NewState(parts)
	edited := parts
	edited.Accounts = []chat.Account{parts.Accounts[0], parts.Accounts[1]}
	edited.Accounts[1].Role, edited.Bans = chat.Mod, nil
	for what, in := range map[string]chat.EditByHand{
		"of a server":       {Base: base, Edited: chat.NewState(edited), File: "sum"},
		"that changes none": {Base: base, Edited: base, File: "sum"},
		"of a new server":   {Base: chat.NewState(chat.Parts{}), Edited: chat.NewState(chat.Parts{}), File: "sum"},
	} {
		req := chat.Request{ID: chat.RequestID{Origin: 3, N: 9}, Settled: 2, Who: chat.TheServer, Intent: in}
		got := travelled(t, req)
		back, ok := got.Intent.(chat.EditByHand)
		if !ok || back.File != in.File || !back.Base.Since(in.Base).IsZero() || !back.Edited.Since(in.Edited).IsZero() ||
			!in.Base.Since(back.Base).IsZero() || !in.Edited.Since(back.Edited).IsZero() {
			t.Errorf("%s: %+v", what, got)
		}
		if a, b := fmt.Sprintf("%+v", back.Edited.Parts()), fmt.Sprintf("%+v", in.Edited.Parts()); a != b { // also in the order of lists
			t.Errorf("%s:\n%s\n%s", what, a, b)
		}
	}
	if _, err := EncodeRequest(chat.Request{Intent: chat.EditByHand{}}); err == nil {
		t.Error("one without States is encoded")
	}
}

// Of the events a node asks the leader for new keys of a reader, and for what its history has made.
func TestEventsTravel(t *testing.T) {
	t.Parallel()
	rekey := chat.Request{ID: chat.RequestID{Origin: 1, N: 2}, Settled: 2, Who: chat.TheServer, Event: &chat.Event{Room: room(t, "dev"), Change: chat.Rekey, Name: name(t, "ann")}}
	if got := travelled(t, rekey); !reflect.DeepEqual(got, rekey) {
		t.Errorf("%+v", got)
	}
	head := `{"n":1,"t":"share","room":"general","w":1,"prev":"` + strings.Repeat("A", 42) + `E=","for":"tag","heads":{"ann":"head"}`
	stored, err := history.DecodeStored([]byte(summed(head)))
	if err != nil {
		t.Fatal(err)
	}
	share := rekey
	share.Event = &chat.Event{Room: chat.General, Stored: stored}
	if got := travelled(t, share); !reflect.DeepEqual(got, share) {
		t.Errorf("%+v", got)
	}
	for what, bad := range map[string]chat.Request{
		"nothing":             {},
		"both":                {Intent: chat.Expire{}, Event: rekey.Event},
		"an event and a log":  {Event: rekey.Event, Audit: &chat.AuditEntry{}},
		"a message":           {Event: &chat.Event{Room: chat.General, Message: chat.Message{Seq: 1}}},
		"an attempt and more": {Attempt: &chat.Attempt{Kind: chat.Try}, Intent: chat.Expire{}},
		"an attempt's line":   {Attempt: &chat.Attempt{Kind: chat.Try}, Audit: &chat.AuditEntry{}},
		"a join":              {Event: &chat.Event{Room: chat.General, Change: chat.Join}},
		"a foreign one":       {Event: &chat.Event{Room: chat.General, Stored: "x"}},
		"a pointer":           {Intent: &chat.Expire{}},
	} {
		if _, err := EncodeRequest(bad); err == nil {
			t.Errorf("encoded: %s", what)
		}
	}
}

// What a node of a newer version asks for is refused, and is not taken for something else.
func TestNewerRequests(t *testing.T) {
	t.Parallel()
	b, err := EncodeRequest(chat.Request{Who: chat.TheServer, Intent: chat.Visit{ID: "x", Day: "2026-11-26"}})
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(string) string{
		"intent":  func(s string) string { return strings.Replace(s, "Visit", "Visix", 1) },
		"field":   func(s string) string { return strings.Replace(s, "Day", "Dax", 1) },
		"version": func(s string) string { return "\x02" + s[1:] },
	} {
		if _, err := DecodeRequest([]byte(change(string(b)))); !errors.Is(err, errVersion) {
			t.Errorf("a newer %s: %v", what, err)
		}
	}
	if _, err := DecodeRequest(append(b, 0)); err == nil {
		t.Error("with something behind it")
	}
	for n := range b {
		if _, err := DecodeRequest(b[:n]); err == nil {
			t.Errorf("the first %d of %d bytes", n, len(b))
		}
	}
	unclean := strings.Replace(mustEncode(t, chat.Post{Room: chat.General, Kind: chat.Say, Text: words(t, "red")}), "red", "\x1b[m", 1)
	if _, err := DecodeRequest([]byte(unclean)); err == nil {
		t.Error("a text that is not clean")
	}
}

func mustEncode(t testing.TB, in chat.Intent) string {
	t.Helper()
	b, err := EncodeRequest(chat.Request{Intent: in})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Refusals are the same on the node that asked: in their words, their code, and what callers look for in them.
func TestErrorsTravel(t *testing.T) {
	t.Parallel()
	errs := map[string]error{
		"with a name":       chat.ErrNoAccount.With("no account named %s", "bob"),
		"of a person":       chat.About(name(t, "bob"), chat.ErrKeyTaken),
		"twice":             chat.ErrTooMany.Because("at most %d", 3).Because("really"),
		"in other words":    fmt.Errorf("share #general: %w", history.ErrKeysChanged),
		"without a kind":    &chat.Refusal{Code: chat.Denied, Text: "only admins can do that"},
		"with no answer":    fmt.Errorf("ask node-2: %w", chat.ErrNoAnswer),
		"of two kinds":      errors.Join(chat.ErrNoAnswer, context.DeadlineExceeded),
		"of the log":        fmt.Errorf("%w: no space left", chat.ErrNotStored),
		"internal":          errors.New("internal error: a bug"),
		"a text's":          fmt.Errorf("%w: 5000 bytes", cleaned.ErrTooLong),
		"unlike its kind":   chat.ErrNotIn.With("x"),
		"the accounts' own": accounts.ErrPolicy.Because("it is short"),
	}
	for name, err := range sentinels {
		errs[name] = err
	}
	for what, err := range errs {
		got := DecodeError(EncodeError(err))
		if got == nil || got.Error() != err.Error() {
			t.Fatalf("%s: %v, not %v", what, got, err)
		}
		for name, sentinel := range sentinels {
			if errors.Is(got, sentinel) != errors.Is(err, sentinel) {
				t.Errorf("%s: whether it is %s: %v", what, name, errors.Is(got, sentinel))
			}
		}
		r, refused := chat.Refused(err)
		s, is := chat.Refused(got)
		if refused != is || is && (r.Code != s.Code || r.Text != s.Text) {
			t.Errorf("%s: it is refused as %+v, not %+v", what, s, r)
		}
		if refused { // and goes on being what it is
			for name, sentinel := range sentinels {
				if errors.Is(r, sentinel) != errors.Is(s, sentinel) {
					t.Errorf("%s: whether its refusal is %s: %v", what, name, errors.Is(s, sentinel))
				}
			}
		}
	}
	if EncodeError(nil) != nil || DecodeError(nil) != nil {
		t.Error("no error is one")
	}
	if err := DecodeError([]byte{version, 5}); !errors.Is(err, chat.ErrNoAnswer) {
		t.Errorf("what cannot be decoded is %v", err)
	}
	if err := DecodeError([]byte{version + 1}); err == nil || errors.Is(err, chat.ErrNoAnswer) {
		t.Errorf("a newer refusal is %v", err)
	}
}

// No error that package chat exports is forgotten, and each has its own name.
func TestEveryErrorTravels(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, f := range chatFiles(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			if _, in := n.(*ast.FuncDecl); in {
				return false
			}
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, id := range spec.Names {
				if !strings.HasPrefix(id.Name, "Err") || !id.IsExported() {
					continue
				}
				seen++
				err := sentinels["chat."+id.Name]
				if err == nil {
					t.Errorf("chat.%s is not known to who asked for something", id.Name)
					continue
				}
				var literal string
				ast.Inspect(spec.Values[i], func(n ast.Node) bool {
					if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && literal == "" {
						literal, _ = strconv.Unquote(lit.Value)
					}
					return true
				})
				if !strings.Contains(literal, "%") && err.Error() != literal {
					t.Errorf("chat.%s is %q here", id.Name, err)
				}
			}
			return true
		})
	}
	if seen < 60 {
		t.Errorf("%d errors: this test does not find them", seen)
	}
}
