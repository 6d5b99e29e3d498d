"""The texts of notifications for which nothing is configured, in an alertmanager.yml.

The names are Alertmanager's, since people's own templates call these, and what they say is what its users know.
"""

from __future__ import annotations

DEFAULTS = r"""
{{- define "__alertmanager" }}Alertmanager{{ end -}}
{{- define "__alertmanagerURL" }}{{ .ExternalURL }}/#/alerts?receiver={{ urlquery .Receiver }}{{ end -}}
{{- define "__subject" -}}
  [{{ toUpper .Status }}{{ with len .Alerts.Firing }}:{{ . }}{{ end }}] {{ join " " .GroupLabels.SortedPairs.Values }}
  {{- with .CommonLabels.Remove .GroupLabels.Names }} ({{ join " " .Values }}){{ end }}
{{- end -}}
{{- define "__description" }}{{ end -}}
{{- define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end -}}
{{- define "__text_alert_list_markdown" }}{{ range . }}
Labels:
{{ range .Labels.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Annotations:
{{ range .Annotations.SortedPairs }}  - {{ .Name }} = {{ .Value }}
{{ end }}
Source: {{ .GeneratorURL }}
{{ end }}{{ end -}}
{{- define "__text_both" }}{{ with .Alerts.Firing }}
Alerts Firing:
{{ template "__text_alert_list" . }}{{ end }}{{ with .Alerts.Resolved }}
Alerts Resolved:
{{ template "__text_alert_list" . }}{{ end }}{{ end -}}
{{- define "__markdown_both" }}{{ with .Alerts.Firing }}
# Alerts Firing:
{{ template "__text_alert_list_markdown" . }}{{ end }}{{ with .Alerts.Resolved }}
# Alerts Resolved:
{{ template "__text_alert_list_markdown" . }}{{ end }}{{ end -}}

{{- define "slack.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "slack.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end -}}
{{- define "slack.default.username" }}{{ template "__alertmanager" . }}{{ end -}}
{{- define "slack.default.fallback" -}}
  {{ template "slack.default.title" . }} | {{ template "slack.default.titlelink" . }}
{{- end -}}
{{- define "slack.default.color" }}{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}{{ end -}}
{{- define "slack.default.callbackid" }}{{ end -}}
{{- define "slack.default.pretext" }}{{ end -}}
{{- define "slack.default.iconemoji" }}{{ end -}}
{{- define "slack.default.iconurl" }}{{ end -}}
{{- define "slack.default.text" }}{{ end -}}
{{- define "slack.default.footer" }}{{ end -}}

{{- define "mattermost.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "mattermost.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end -}}
{{- define "mattermost.default.username" }}{{ template "__alertmanager" . }}{{ end -}}
{{- define "mattermost.default.fallback" -}}
  {{ template "mattermost.default.title" . }} | {{ template "mattermost.default.titlelink" . }}
{{- end -}}
{{- define "mattermost.default.color" }}{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}{{ end -}}
{{- define "mattermost.default.text" }}{{ template "__markdown_both" . }}{{ end -}}
{{- define "mattermost.default.iconurl" }}{{ end -}}

{{- define "rocketchat.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "rocketchat.default.alias" }}{{ template "__alertmanager" . }}{{ end -}}
{{- define "rocketchat.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end -}}
{{- define "rocketchat.default.emoji" }}{{ end -}}
{{- define "rocketchat.default.iconurl" }}{{ end -}}
{{- define "rocketchat.default.text" }}{{ end -}}

{{- define "pagerduty.default.description" }}{{ template "__subject" . }}{{ end -}}
{{- define "pagerduty.default.client" }}{{ template "__alertmanager" . }}{{ end -}}
{{- define "pagerduty.default.clientURL" }}{{ template "__alertmanagerURL" . }}{{ end -}}
{{- define "pagerduty.default.instances" }}{{ template "__text_alert_list" . }}{{ end -}}

{{- define "opsgenie.default.message" }}{{ template "__subject" . }}{{ end -}}
{{- define "opsgenie.default.description" -}}
{{ join " " .CommonAnnotations.SortedPairs.Values }}{{ template "__text_both" . }}
{{- end -}}
{{- define "opsgenie.default.source" }}{{ template "__alertmanagerURL" . }}{{ end -}}

{{- define "telegram.default.message" }}{{ template "__text_both" . }}{{ end -}}
{{- define "discord.default.content" }}{{ end -}}
{{- define "discord.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "discord.default.message" }}{{ template "__text_both" . }}{{ end -}}
{{- define "msteams.default.summary" }}{{ template "__subject" . }}{{ end -}}
{{- define "msteams.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "msteams.default.text" }}{{ template "__markdown_both" . }}{{ end -}}
{{- define "msteamsv2.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "msteamsv2.default.text" }}{{ template "__markdown_both" . }}{{ end -}}
{{- define "webex.default.message" -}}
{{ join " " .CommonAnnotations.SortedPairs.Values }}{{ template "__text_both" . }}
{{- end -}}
{{- define "wechat.default.message" }}{{ template "__subject" . }}
{{- template "__text_both" . }}
AlertmanagerUrl:
{{ template "__alertmanagerURL" . }}
{{- end -}}
{{- define "wechat.default.to_user" }}{{ end -}}
{{- define "wechat.default.to_party" }}{{ end -}}
{{- define "wechat.default.to_tag" }}{{ end -}}
{{- define "wechat.default.agent_id" }}{{ end -}}
{{- define "victorops.default.state_message" -}}
{{ join " " .CommonAnnotations.SortedPairs.Values }}{{ template "__text_both" . }}
{{- end -}}
{{- define "victorops.default.entity_display_name" }}{{ template "__subject" . }}{{ end -}}
{{- define "victorops.default.monitoring_tool" }}{{ template "__alertmanager" . }}{{ end -}}
{{- define "pushover.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "pushover.default.message" -}}
{{ join " " .CommonAnnotations.SortedPairs.Values }}{{ template "__text_both" . }}
{{- end -}}
{{- define "pushover.default.url" }}{{ template "__alertmanagerURL" . }}{{ end -}}
{{- define "sns.default.subject" }}{{ template "__subject" . }}{{ end -}}
{{- define "sns.default.message" -}}
{{ join " " .CommonAnnotations.SortedPairs.Values }}{{ template "__text_both" . }}
{{- end -}}
{{- define "jira.default.summary" }}{{ template "__subject" . }}{{ end -}}
{{- define "jira.default.description" }}{{ template "__markdown_both" . }}{{ end -}}
{{- define "jira.default.priority" -}}
  {{- $worst := "" -}}
  {{- range or .Alerts.Firing .Alerts }}{{ with .Labels.severity -}}
    {{- if eq . "critical" }}{{ $worst = "High" }}
    {{- else if and (eq . "warning") (ne $worst "High") }}{{ $worst = "Medium" }}
    {{- else if and (eq . "info") (not $worst) }}{{ $worst = "Low" }}{{ end -}}
  {{- end }}{{ end -}}
  {{- $worst -}}
{{- end -}}

{{- define "email.default.subject" }}{{ template "__subject" . }}{{ end -}}
{{- define "__email_alert" }}
<tr><td style="padding:12px 20px;border-top:1px solid #e3e5e8">
<p style="margin:0 0 6px"><strong>Labels</strong><br>
{{- range .Labels.SortedPairs }}{{ .Name }} = {{ .Value }}<br>{{ end }}</p>
{{- with .Annotations.SortedPairs }}
<p style="margin:0 0 6px"><strong>Annotations</strong><br>
{{- range . }}{{ .Name }} = {{ .Value }}<br>{{ end }}</p>
{{- end }}
{{- with .GeneratorURL }}<a href="{{ . }}">Source</a>{{ end }}
</td></tr>
{{- end -}}
{{- define "email.default.html" -}}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ template "__subject" . }}</title></head>
<body style="margin:0;background:#f4f5f7;color:#1f2328;font:15px/1.45 system-ui,'Segoe UI',Helvetica,Arial,sans-serif">
<table role="presentation" width="100%" cellspacing="0" cellpadding="0"><tr><td align="center" style="padding:16px">
<table role="presentation" width="600" cellspacing="0" cellpadding="0"
 style="max-width:100%;background:#fff;border:1px solid #e3e5e8">
<tr><td style="padding:14px 20px;color:#fff;background:{{ if eq .Status "firing" }}#b3261e{{ else }}#22703c{{ end }}">
<strong>{{ len .Alerts }} alert{{ if gt (len .Alerts) 1 }}s{{ end }} for
{{- range .GroupLabels.SortedPairs }} {{ .Name }}={{ .Value }}{{ end }}</strong></td></tr>
<tr><td style="padding:14px 20px">
<a href="{{ template "__alertmanagerURL" . }}">View in {{ template "__alertmanager" . }}</a></td></tr>
{{- with .Alerts.Firing }}
<tr><td style="padding:6px 20px"><strong>[{{ len . }}] Firing</strong></td></tr>
{{- range . }}{{ template "__email_alert" . }}{{ end }}
{{- end }}
{{- with .Alerts.Resolved }}
<tr><td style="padding:6px 20px"><strong>[{{ len . }}] Resolved</strong></td></tr>
{{- range . }}{{ template "__email_alert" . }}{{ end }}
{{- end }}
</table></td></tr></table></body></html>
{{- end -}}
"""
