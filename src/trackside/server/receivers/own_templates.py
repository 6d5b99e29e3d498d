"""Our own texts of notifications: what fired, since when, the value now, its course, the runbook and the silence.

`OWN` can be called from any configuration. `OWN_DEFAULTS` are what receivers say in a trackside.yml that configures no
texts: in place of Alertmanager's, under the same names.
"""

from __future__ import annotations

RUNBOOK = "{{ (index .Alerts 0).RunbookURL }}"
SILENCE = "{{ with .Alerts.Firing }}{{ (index . 0).SilenceURL }}{{ end }}"
CHART = "{{ .ChartURL }}"
"""Of the first alert, for services with fields that one can tap."""
OWN = r"""
{{- define "trackside.sentence" }}{{ .Sentence }}{{ end -}}
{{- define "trackside.link" }}{{ .AlertsURL }}{{ end -}}
{{- define "trackside.count" -}}
  [{{ toUpper .Status }}{{ with len .Alerts.Firing }}:{{ . }}{{ end }}]
{{- end -}}
{{- define "trackside.title" -}}
  {{- if .CommonAnnotations.summary }}
      {{- template "trackside.count" . }} {{ with .CommonLabels.alertname }}{{ . }}: {{ end }}
      {{- .CommonAnnotations.summary }}
  {{- else }}{{ template "__subject" . }}{{ end -}}
{{- end -}}
{{- define "trackside.since" -}}
  {{- if eq .Status "resolved" }}over since {{ date "15:04 MST" .EndsAt }}, began {{ else }}since {{ end -}}
  {{- date "Jan 2 15:04 MST" .StartsAt }}
  {{- with .ValueText }}, value {{ . }}{{ end -}}
{{- end -}}
{{- define "trackside.when" -}}
  {{ template "trackside.since" . }}{{ if not .ChartAlt }}{{ with .TrendText }} {{ . }}{{ end }}{{ end -}}
{{- end -}}

{{- define "trackside.slack.alert" -}}
  {{- if eq .Status "resolved" }}:white_check_mark: {{ end }}{{ slackText .Sentence }}
_{{ template "trackside.when" . }}_
  {{- with slackLink "Graph" .GeneratorURL }} {{ . }}{{ end }}
  {{- with slackLink "Runbook" .RunbookURL }} {{ . }}{{ end }}
  {{- if eq .Status "firing" }} {{ slackLink "Silence" .SilenceURL }}{{ end }}
{{ end -}}
{{- define "trackside.slack.text" -}}
{{ range $i, $alert := .Alerts }}{{ if eq $i 20 }}and {{ len (slice $.Alerts 20) }} more{{ break }}{{ end -}}
{{ template "trackside.slack.alert" $alert }}{{ end -}}
{{ with .TruncatedAlerts }}and {{ . }} more{{ end -}}
{{- end -}}

{{- define "trackside.markdown.alert" -}}
**{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ markdownText .Sentence }}**{{ "  " }}
{{ template "trackside.when" . }}{{ "  " }}
{{ with markdownLink "Graph" .GeneratorURL }}{{ . }} · {{ end }}
  {{- with markdownLink "Runbook" .RunbookURL }}{{ . }} · {{ end }}
  {{- if eq .Status "firing" }}{{ markdownLink "Silence" .SilenceURL }} · {{ end }}
  {{- markdownLink "Alert" .AlertURL }}
{{ end -}}
{{- define "trackside.markdown.title" -}}
**{{ template "trackside.count" . }}{{ range .GroupLabels.SortedPairs.Values }} {{ markdownText . }}{{ end }}**
{{- end -}}
{{- define "trackside.markdown" -}}
{{ range $i, $alert := .Alerts }}{{ if $i }}
{{ end }}{{ template "trackside.markdown.alert" $alert }}{{ end }}
{{- with .TruncatedAlerts }}
and {{ . }} more: {{ markdownLink "all alerts" $.AlertsURL }}{{ end -}}
{{- end -}}

{{- define "trackside.telegram.alert" -}}
<b>{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ .Sentence }}</b>
{{ template "trackside.when" . }}
{{ with .GeneratorURL }}<a href="{{ . }}">Graph</a> · {{ end }}
  {{- with .RunbookURL }}<a href="{{ . }}">Runbook</a> · {{ end }}
  {{- if eq .Status "firing" }}<a href="{{ .SilenceURL }}">Silence</a> · {{ end -}}
<a href="{{ .AlertURL }}">Alert</a>
{{ end -}}
{{- define "trackside.telegram" -}}
{{ range $i, $alert := .Alerts }}{{ if $i }}
{{ end }}{{ template "trackside.telegram.alert" $alert }}{{ end }}
{{- with .TruncatedAlerts }}
and {{ . }} more: <a href="{{ $.AlertsURL }}">all alerts</a>{{ end -}}
{{- end -}}

{{- define "trackside.text" -}}
{{ range .Alerts }}{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ .Sentence }}
{{ template "trackside.since" . }}{{ with .TrendText }} {{ . }}{{ end }}
{{ with .ChartURL }}Chart: {{ . }}
{{ end }}{{ with .GeneratorURL }}Graph: {{ . }}
{{ end }}{{ with .RunbookURL }}Runbook: {{ . }}
{{ end }}{{ if eq .Status "firing" }}Silence: {{ .SilenceURL }}
{{ end }}
{{ end }}{{ with .TruncatedAlerts }}And {{ . }} more.
{{ end }}All alerts: {{ template "trackside.link" . }}
{{- end -}}

{{- define "trackside.html.alert" -}}
<tr><td style="padding:16px 24px 4px;border-top:1px solid #d0d7de">
<p style="margin:0 0 4px;font-size:16px;font-weight:600">
{{- if eq .Status "resolved" }}Resolved: {{ end }}{{ .Sentence }}</p>
<p style="margin:0 0 10px;color:#57606a">{{ template "trackside.when" . }}</p>
{{- with .ChartAlt }}
<img src="cid:chart@trackside" alt="{{ . }}" width="480" height="120"
 style="display:block;width:100%;max-width:480px;height:auto;margin:0 0 10px">
{{- end }}
<p style="margin:0 0 10px">
{{- with .GeneratorURL }}<a style="color:#0b63ce" href="{{ . }}">Graph</a> &nbsp; {{ end }}
{{- with .RunbookURL }}<a style="color:#0b63ce" href="{{ . }}">Runbook</a> &nbsp; {{ end }}
{{- if eq .Status "firing" }}<a style="color:#0b63ce" href="{{ .SilenceURL }}">Silence</a> &nbsp; {{ end -}}
<a style="color:#0b63ce" href="{{ .AlertURL }}">Alert</a></p>
<p style="margin:0 0 10px;font-size:12px;color:#57606a;word-break:break-word">
{{- range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} &nbsp; {{ end }}</p>
</td></tr>
{{- end -}}
{{- define "trackside.html" -}}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light"><title>{{ template "__subject" . }}</title></head>
<body style="margin:0;padding:16px 0;background:#f4f5f7;color:#1f2328;
 font:15px/1.45 system-ui,'Segoe UI',Helvetica,Arial,sans-serif">
<table role="presentation" align="center" width="560" cellspacing="0" cellpadding="0"
 style="width:560px;max-width:100%;margin:0 auto;background:#ffffff;border:1px solid #d0d7de">
<tr><td style="padding:12px 24px;color:#fff;background:{{ if eq .Status "firing" }}#b3261e{{ else }}#22703c{{ end }}">
<h1 style="margin:0;font-size:17px">{{ template "__subject" . }}</h1></td></tr>
{{- range .Alerts }}{{ template "trackside.html.alert" . }}{{ end }}
<tr><td style="padding:12px 24px;border-top:1px solid #d0d7de">
{{- with .TruncatedAlerts }}And {{ . }} more. {{ end -}}
<a style="color:#0b63ce" href="{{ template "trackside.link" . }}">All alerts</a></td></tr>
</table></body></html>
{{- end -}}

{{- define "trackside.pagerduty.severity" -}}
  {{- with .CommonLabels.severity }}{{ if eq . "critical" "warning" "info" }}{{ . }}{{ else }}error{{ end }}
  {{- else }}error{{ end -}}
{{- end -}}
"""
OWN_DEFAULTS = r"""
{{- define "__subject" -}}
  {{ template "trackside.count" . }} {{ if .GroupLabels }}{{ join " " .GroupLabels.SortedPairs.Values }}
  {{- with .CommonLabels.Remove .GroupLabels.Names }} ({{ join " " .Values }}){{ end }}
  {{- else }}{{ or .CommonLabels.alertname "several alerts" }}
  {{- with .CommonLabels.Remove (stringSlice "alertname") }} ({{ join " " .Values }}){{ end }}{{ end -}}
{{- end -}}
{{- define "__alertmanager" }}Trackside{{ end -}}
{{- define "__alertmanagerURL" }}{{ .AlertsURL }}{{ end -}}
{{- define "slack.default.text" }}{{ template "trackside.slack.text" . }}{{ end -}}
{{- define "mattermost.default.text" }}{{ template "trackside.markdown" . }}{{ end -}}
{{- define "rocketchat.default.text" }}{{ template "trackside.markdown" . }}{{ end -}}
{{- define "pagerduty.default.description" }}{{ template "trackside.title" . }}{{ end -}}
{{- define "pagerduty.default.instances" }}{{ template "trackside.text" . }}{{ end -}}
{{- define "opsgenie.default.message" }}{{ template "trackside.title" . }}{{ end -}}
{{- define "opsgenie.default.description" }}{{ template "trackside.text" . }}{{ end -}}
{{- define "telegram.default.message" }}{{ template "trackside.telegram" . }}{{ end -}}
{{- define "discord.default.message" }}{{ template "trackside.markdown" . }}{{ end -}}
{{- define "msteams.default.text" }}{{ template "trackside.markdown" . }}{{ end -}}
{{- define "msteamsv2.default.text" }}{{ template "trackside.markdown" . }}{{ end -}}
{{- define "webex.default.message" }}{{ template "trackside.markdown.title" . }}{{ "  " }}
{{ template "trackside.markdown" . }}{{ end -}}
{{- define "wechat.default.message" }}{{ template "__subject" . }}
{{ template "trackside.text" . }}{{ end -}}
{{- define "victorops.default.state_message" }}{{ template "trackside.text" . }}{{ end -}}
{{- define "victorops.default.entity_display_name" }}{{ template "trackside.title" . }}{{ end -}}
{{- define "pushover.default.title" }}{{ template "trackside.title" . }}{{ end -}}
{{- define "pushover.default.message" }}{{ template "trackside.text" . }}{{ end -}}
{{- define "sns.default.message" }}{{ template "trackside.text" . }}{{ end -}}
{{- define "jira.default.summary" }}{{ template "trackside.title" . }}{{ end -}}
{{- define "jira.default.description" }}{{ template "trackside.text" . }}{{ end -}}
{{- define "email.default.html" }}{{ template "trackside.html" . }}{{ end -}}
{{- define "email.default.text" }}{{ template "trackside.text" . }}{{ end -}}
"""
