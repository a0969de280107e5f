{{- define "cartwheel.labels" -}}
app.kubernetes.io/name: cartwheel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "cartwheel.selector" -}}
app.kubernetes.io/name: cartwheel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cartwheel.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The pod of a service. Takes root, component, and for the delay-timer its disk. */ -}}
{{- define "cartwheel.pod" -}}
metadata:
  labels: {{- include "cartwheel.labels" . | nindent 4 }}
  annotations:
    checksum/config: {{ .root.Values.config | sha256sum }}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: { type: RuntimeDefault }
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "cartwheel.selector" . | nindent 10 }}
  containers:
    - name: {{ .component }}
      image: {{ include "cartwheel.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [{{ .component }}, --config, /etc/cartwheel/cartwheel.toml]
      {{- $secrets := index .root.Values.secrets .component }}
      {{- if $secrets }}
      envFrom:
        {{- range $secrets }}
        - secretRef: { name: {{ . }} }
        {{- end }}
      {{- end }}
      {{- if eq .component "delay-timer" }}
      env:
        # The pod's name stays the same across restarts: a restart within the session time-out moves no partition.
        - name: CARTWHEEL_DELAY_TIMER__GROUP__MEMBER
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
      {{- end }}
      ports:
        {{- if eq .component "ingest" }}
        - { name: http, containerPort: 8080 }
        {{- end }}
        - { name: admin, containerPort: 9100 }
      # Liveness never depends on Kafka or Redis; readiness does.
      livenessProbe:
        httpGet: { path: /live, port: admin }
        periodSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /ready, port: admin }
        periodSeconds: 5
      resources: {{- toYaml (index .root.Values .component).resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: config, mountPath: /etc/cartwheel, readOnly: true }
        {{- if eq .component "delay-timer" }}
        - { name: timers, mountPath: /var/lib/cartwheel }
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ .root.Release.Name }}-config }
    {{- if eq .component "delay-timer" }}
    - name: timers
      emptyDir: { sizeLimit: {{ (index .root.Values "delay-timer").disk }} }
    {{- end }}
{{- end }}
