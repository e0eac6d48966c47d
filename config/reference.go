package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Reference returns the documentation of every setting, as Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("| key | variable | default | what |\n|---|---|---|---|\n")
	c := Default()
	for _, s := range settingsOf(reflect.ValueOf(&c).Elem()) {
		variable := "`" + s.env + "`"
		if s.secret {
			variable += " or `" + s.env + "_FILE`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.key, variable, defaultText(s.value), s.doc)
	}
	for _, list := range []struct {
		title string
		item  any
	}{{"A claim", Claim{}}, {"A webhook", Webhook{}}, {"A header for proxies", ForwardHeader{}}, {"An identity provider", IDP{}}} {
		fmt.Fprintf(&b, "\n%s has these keys:\n\n| key | what |\n|---|---|\n", list.title)
		for i := range reflect.TypeOf(list.item).NumField() {
			tag := reflect.TypeOf(list.item).Field(i).Tag
			fmt.Fprintf(&b, "| `%s` | %s |\n", tag.Get("yaml"), tag.Get("doc"))
		}
	}
	return b.String()
}

func defaultText(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		text := d.String()
		text = strings.TrimSuffix(strings.TrimSuffix(text, "0s"), "0m")
		if d < time.Minute {
			text = d.String()
		}
		return "`" + text + "`"
	}
	switch {
	case v.Kind() == reflect.Slice:
		return "`[]`"
	case v.Kind() == reflect.String && v.Len() == 0:
		return "*empty*"
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
