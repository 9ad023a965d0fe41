package chat

import "context"

type checkKey struct{}

// WithCheck returns a context under which the hub asks check once more at the place of each change: after all waits, and
// after what came before it. If check refuses, nothing is changed and its error is returned. A check may read the hub and
// must change nothing.
func WithCheck(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, checkKey{}, check)
}

// AlsoCheck is WithCheck for one more check beside those of ctx.
func AlsoCheck(ctx context.Context, check func() error) context.Context {
	return WithCheck(ctx, func() error {
		if err := checked(ctx); err != nil {
			return err
		}
		return check()
	})
}

// Settled returns a context for what follows from a change that was made: it is carried through, whoever hangs up or
// loses their rights meanwhile.
func Settled(ctx context.Context) context.Context {
	return WithCheck(context.WithoutCancel(ctx), nil)
}

// checked asks the checks of ctx.
func checked(ctx context.Context) error {
	if check, _ := ctx.Value(checkKey{}).(func() error); check != nil {
		return check()
	}
	return nil
}
