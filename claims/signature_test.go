package claims

import "testing"

// The known answer is the one of the reference libraries' own tests
// (standard-webhooks/standard-webhooks, libraries/go/webhook_test.go, TestWebhookSign).
func TestKnownSignature(t *testing.T) {
	t.Parallel()
	key, err := webhookKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	got := signatures([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if got != want {
		t.Errorf("got %s", got)
	}
	if two := signatures([][]byte{key, key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); two != want+" "+want {
		t.Errorf("under two keys: %s", two)
	}
}
