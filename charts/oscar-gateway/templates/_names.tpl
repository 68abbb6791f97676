{{/* The only named templates: names, labels, and what both processes' pods have in common. */}}

{{- define "oscar-gateway.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "oscar-gateway.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "oscar-gateway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "oscar-gateway.secret" -}}
{{ .Values.secrets.existingSecret | default (include "oscar-gateway.name" .) }}
{{- end }}

{{- define "oscar-gateway.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The pod of a process. Called with (dict "root" $ "process" <values of it> "name" <gateway or worker>). */}}
{{- define "oscar-gateway.pod" -}}
metadata:
  labels:
    {{- include "oscar-gateway.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
  annotations:
    # Pods are made anew when what they read at their start has changed.
    checksum/config: {{ include (print .root.Template.BasePath "/config.yaml") .root | sha256sum }}
    checksum/secret: {{ toJson .root.Values.secrets | sha256sum }}
    {{- with .process.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "oscar-gateway.name" .root }}-{{ .name }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .process.terminationGracePeriodSeconds }}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ .root.Values.runAsUser }}
    runAsGroup: {{ .root.Values.runAsUser }}
    fsGroup: {{ .root.Values.runAsUser }}
    seccompProfile:
      type: RuntimeDefault
  {{- with .process.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .process.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "oscar-gateway.selector" .root | nindent 10 }}
          app.kubernetes.io/component: {{ .name }}
  containers:
    - name: {{ .name }}
      image: {{ include "oscar-gateway.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: ["python", "-m", {{ eq .name "gateway" | ternary "gateway" "workers" | quote }}]
      envFrom:
        - configMapRef:
            name: {{ include "oscar-gateway.name" .root }}
        - secretRef:
            name: {{ include "oscar-gateway.secret" .root }}
      {{- if .root.Values.certificates.configMap }}
      env:
        - name: SSL_CERT_FILE
          value: /certificates/{{ .root.Values.certificates.key }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8080
      startupProbe:
        httpGet: {path: /health, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /health, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /ready, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .process.resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        {{- if .root.Values.certificates.configMap }}
        - name: certificates
          mountPath: /certificates
          readOnly: true
        {{- end }}
  volumes:
    # Nothing in it outlives the pod: what must, is in database, broker, store and ConfigMaps.
    - name: data
      emptyDir:
        sizeLimit: {{ .root.Values.scratchSize }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .root.Values.scratchSize }}
    {{- with .root.Values.certificates.configMap }}
    - name: certificates
      configMap:
        name: {{ . }}
    {{- end }}
{{- end }}
